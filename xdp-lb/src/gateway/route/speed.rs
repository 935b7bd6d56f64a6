//! How long a search takes: `cargo test --release -p xdp-lb --lib gateway::route::speed -- --nocapture`.

use std::hint::black_box;

use super::*;
use crate::config::gateway::{HostPattern, PathPattern};
use crate::gateway::transform::testing;

#[test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn a_search_among_a_hundred_routes() {
    let mut routes = Vec::new();
    for index in 0..100 {
        let path = match index % 4 {
            0 => PathPattern::Prefix(format!("/api/v1/service-{index}")),
            1 => PathPattern::Path(format!("/api/v1/service-{index}/items/{{id}}")),
            2 => PathPattern::Path(format!("/api/v1/service-{index}/status")),
            _ => PathPattern::Prefix(format!("/static/{index}")),
        };
        let mut route = testing::route(&format!("r{index}"), path);
        if index % 2 == 0 {
            route.hosts = vec![HostPattern::Exact("shop.example.com".to_owned())];
        }
        routes.push(route);
    }
    let table = Table::build(&routes).unwrap();
    for (what, path, expected) in [
        ("prefix", "/api/v1/service-52/books/17", Some(52)),
        ("exact", "/api/v1/service-54/status", Some(54)),
        ("parameter", "/api/v1/service-53/items/17", Some(53)),
        ("prefix, other host", "/static/55/a.css", Some(55)),
        ("none", "/nothing/of/this", None),
    ] {
        let head = testing::head("GET", path, &[("accept", "*/*"), ("user-agent", "x")]);
        let rounds: u32 = if cfg!(debug_assertions) { 1000 } else { 1_000_000 };
        let begin = std::time::Instant::now();
        for _ in 0..rounds {
            black_box(table.find(black_box(&head), black_box("shop.example.com")));
        }
        println!("{what}: {:.0} ns", begin.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
        let found = table.find(&head, "shop.example.com");
        assert_eq!(if let Match::Route(found) = found { Some(found.route) } else { None }, expected);
    }
}
