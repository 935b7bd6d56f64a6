//! Searches of tables by hand, and of random tables against trying every route.

mod naive;

use http::{HeaderName, Method};

use super::*;
use crate::config::gateway::{Condition, Cors, Origins, PathPattern, Test};
use crate::gateway::transform::testing;

fn path(text: &str) -> PathPattern {
    PathPattern::Path(text.to_owned())
}

fn prefix(text: &str) -> PathPattern {
    PathPattern::Prefix(text.to_owned())
}

/// Hosts (`*.` in front: below), path and methods.
fn route(hosts: &[&str], path: PathPattern, methods: &[&str]) -> Route {
    let mut route = testing::route("r", path);
    let host = |host: &&str| match host.strip_prefix("*.") {
        Some(below) => HostPattern::Below(below.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    };
    route.hosts = hosts.iter().map(host).collect();
    route.methods = methods.iter().map(|method| method.parse().unwrap()).collect();
    route
}

fn cors() -> Cors {
    Cors {
        origins: Origins::Any,
        methods: vec![Method::GET, Method::PUT],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: false,
        max_age: std::time::Duration::ZERO,
    }
}

/// The route's index, or the methods allowed, or nothing.
fn ask(table: &Table, method: &str, host: &str, uri: &str, headers: &[(&str, &str)]) -> String {
    match table.find(&testing::head(method, uri, headers), host) {
        Match::Route(found) => {
            let rest = found.rest(testing::head(method, uri, headers).uri.path()).to_owned();
            let parameters = found.parameters.iter().map(|(name, value)| format!(" {name}={value}"));
            format!(
                "{}{}{}",
                found.route,
                parameters.collect::<String>(),
                if rest.is_empty() { rest } else { format!(" +{rest}") }
            )
        }
        Match::WrongMethod { allow } => format!("allow {}", allow.to_str().unwrap()),
        Match::Ambiguous => "ambiguous".to_owned(),
        Match::None => "none".to_owned(),
    }
}

#[test]
fn the_most_specific_host_and_path_is_taken() {
    let table = Table::build(&[
        route(&[], prefix(""), &[]),
        route(&["*.shop.test"], prefix("/"), &[]),
        route(&["*.eu.shop.test"], prefix("/api"), &[]),
        route(&["a.eu.shop.test", "shop.test"], prefix("/api"), &[]),
        route(&["shop.test"], prefix("/api/v1"), &[]),
        route(&["shop.test"], path("/api/{x}"), &[]),
        route(&["shop.test"], path("/api/v1"), &[]),
        route(&["shop.test"], path("/img/{name}.png"), &[]),
        route(&["shop.test"], path("/img/{*all}"), &[]),
        route(&["shop.test"], path("/odd/{{x}}"), &[]),
    ])
    .unwrap();
    for (host, uri, expected) in [
        ("shop.test", "/api/v1", "6"),
        ("shop.test", "/api/v1/", "4 +/"),
        ("shop.test", "/api/v1/a/b", "4 +/a/b"),
        ("shop.test", "/api/v2", "5 x=v2"),
        ("shop.test", "/api/v2/a", "3 +/v2/a"),
        ("shop.test", "/api", "3"),
        ("shop.test", "/api/", "3 +/"),
        ("shop.test", "/apix", "0 +/apix"),
        ("shop.test", "/api/v1x", "5 x=v1x"),
        ("shop.test.", "/api", "3"),
        ("shop.test", "/img/a.png", "7 name=a"),
        ("shop.test", "/img/.png", "8 all=.png"),
        ("shop.test", "/img/a/b.png", "8 all=a/b.png"),
        ("shop.test", "/img/", "0 +/img/"),
        ("shop.test", "/odd/{x}", "9"),
        ("shop.test", "/API", "0 +/API"),
        ("a.shop.test", "/x", "1 +/x"),
        ("a.b.shop.test", "/x", "1 +/x"),
        ("b.eu.shop.test", "/api", "2"),
        ("b.eu.shop.test", "/x", "1 +/x"),
        ("a.eu.shop.test", "/api/x", "3 +/x"),
        ("eu.shop.test", "/api", "1 +/api"),
        (".shop.test", "/x", "0 +/x"),
        ("xshop.test", "/x", "0 +/x"),
        ("", "/x", "0 +/x"),
        ("other.test", "/", "0 +/"),
    ] {
        assert_eq!(ask(&table, "GET", host, uri, &[]), expected, "{host} {uri}");
    }
    assert_eq!(ask(&table, "OPTIONS", "other.test", "*", &[]), "0 +*");
}

#[test]
fn what_does_not_fit_falls_through() {
    let header = |name, test| Condition::Header(HeaderName::from_static(name), test);
    let is = |text: &str| Test::Is(text.to_owned());
    let mut routes = vec![
        route(&["shop.test"], path("/a"), &[]),
        route(&["shop.test"], path("/a"), &["POST"]),
        route(&["shop.test"], path("/{x}"), &["PUT"]),
        route(&["shop.test"], prefix("/a"), &["DELETE"]),
        route(&[], prefix(""), &["PATCH"]),
        route(&["shop.test"], path("/q"), &["GET"]),
        route(&["shop.test"], path("/{*all}"), &["QUERY"]),
        route(&["shop.test"], path("/n"), &["GET"]),
    ];
    routes[0].conditions = vec![header("x-canary", is("1")), header("x-off", Test::Absent)];
    routes[5].conditions = vec![
        Condition::Query("v".to_owned(), Test::Matches("1|12".to_owned())),
        Condition::Query("w x".to_owned(), Test::Present),
        Condition::Query("z".to_owned(), Test::Absent),
    ];
    let table = Table::build(&routes).unwrap();
    let canary = ("x-canary", "1");
    for (method, uri, headers, expected) in [
        ("POST", "/a", &[][..], "1"),
        ("POST", "/a", &[canary], "0"),
        ("POST", "/a", &[("x-canary", "2"), canary], "0"),
        ("POST", "/a", &[("x-canary", "11")], "1"),
        ("POST", "/a", &[canary, ("x-off", "")], "1"),
        ("PUT", "/a", &[], "2 x=a"),
        ("DELETE", "/a", &[], "3"),
        ("PATCH", "/a", &[], "4 +/a"),
        ("QUERY", "/a", &[], "6 all=a"),
        ("GET", "/a", &[], "allow POST, PUT, QUERY, DELETE, PATCH"),
        ("PUT", "/%ff", &[], "2 x=\u{fffd}"),
        ("PUT", "/%20%2f", &[], "ambiguous"),
        ("GET", "/q?v=12&w+x", &[], "5"),
        ("HEAD", "/q?v=1&w%20x=2", &[], "5"),
        ("GET", "/q?v=123&w+x", &[], "allow PUT, QUERY, PATCH"),
        ("GET", "/q?v=3&v=1&w+x=&z", &[], "allow PUT, QUERY, PATCH"),
        ("POST", "/n", &[], "allow GET, HEAD, PUT, QUERY, PATCH"),
    ] {
        assert_eq!(ask(&table, method, "shop.test", uri, headers), expected, "{method} {uri} {headers:?}");
    }
    assert_eq!(ask(&Table::build(&[]).unwrap(), "GET", "shop.test", "/", &[]), "none");
    let table = Table::build(&[route(&["a.test"], prefix(""), &[])]).unwrap();
    assert_eq!(ask(&table, "GET", "shop.test", "/", &[]), "none");
}

#[test]
fn a_preflight_goes_where_its_request_would() {
    let mut routes = [
        route(&[], path("/a"), &["GET"]),
        route(&[], path("/a"), &["PUT"]),
        route(&[], path("/b"), &["GET"]),
        route(&[], path("/c"), &[]),
        route(&[], path("/d"), &["PUT"]),
        route(&[], path("/e"), &["GET", "OPTIONS"]),
    ];
    for index in [0, 1, 4] {
        routes[index].cors = Some(cors());
    }
    routes[4].conditions =
        vec![Condition::Header(HeaderName::from_static("x-version"), Test::Is("2".to_owned()))];
    let table = Table::build(&routes).unwrap();
    for (uri, asked, expected) in [
        ("/a", Some("GET"), "0"),
        ("/a", Some("PUT"), "1"),
        ("/a", Some("DELETE"), "allow GET, HEAD, PUT"),
        ("/a", None, "allow GET, HEAD, PUT"),
        ("/b", Some("GET"), "allow GET, HEAD"),
        ("/c", Some("DELETE"), "3"),
        ("/d", Some("PUT"), "4"),
        ("/d", None, "none"),
        ("/e", Some("PUT"), "5"),
    ] {
        let mut headers = vec![("origin", "https://a.test")];
        headers.extend(asked.map(|method| ("access-control-request-method", method)));
        assert_eq!(ask(&table, "OPTIONS", "shop.test", uri, &headers), expected, "{uri} {asked:?}");
    }
}

#[test]
fn what_cannot_be_searched_is_not_built() {
    for text in ["/{", "/}", "/{}", "/{a}{b}", "/{*a}/b", "/{*a}b", "/{*}", "/{a/b}"] {
        let error = Table::build(&[route(&[], path(text), &[])]).unwrap_err().to_string();
        assert!(error.contains("route `r`") && error.contains(text), "{error}");
    }
    let mut broken = route(&[], path("/"), &[]);
    broken.conditions = vec![Condition::Query("a".to_owned(), Test::Matches("(".to_owned()))];
    assert!(Table::build(&[broken]).unwrap_err().to_string().contains("`(`"));
}

#[test]
fn patterns_that_one_tree_cannot_hold_are_found_all_the_same() {
    let table = Table::build(&[
        route(&[], path("/{*all}"), &[]),
        route(&[], path("/{one}"), &[]),
        route(&[], path("/{other}"), &[]),
        route(&[], path("/a{x}"), &[]),
        route(&[], path("/{x}b"), &[]),
        route(&[], path("/a{x}b"), &[]),
    ])
    .unwrap();
    for (uri, expected) in [
        ("/a1b", "5 x=1"),
        ("/a1", "3 x=1"),
        ("/1b", "4 x=1"),
        ("/1", "1 one=1"),
        ("/1/2", "0 all=1/2"),
        ("/ab", "3 x=b"),
    ] {
        assert_eq!(ask(&table, "GET", "shop.test", uri, &[]), expected, "{uri}");
    }
}

#[test]
fn no_way_of_writing_a_path_leads_around_its_route() {
    let routes = vec![
        route(&[], prefix("/admin"), &[]),
        route(&[], path("/users/{id}"), &[]),
        route(&[], path("/files/{*all}"), &[]),
        route(&[], path("/matrix;v={v}"), &[]),
        route(&[], prefix("/"), &[]),
        route(&[], path("/@me/caf%c3%a9"), &[]),
        route(&[], prefix("/%7Eann,"), &[]),
    ];
    let table = Table::build(&routes).unwrap();
    for (uri, expected) in [
        ("/users/%ff", "1 id=\u{fffd}"),
        ("/files/secret/%C3%28", "2 all=secret/\u{fffd}("),
        ("/admin;x=1", "ambiguous"),
        ("/admin;x=1/secret", "ambiguous"),
        ("/admin%3Bx/secret", "ambiguous"),
        ("/admin%3bx;y", "ambiguous"),
        ("/admin/a;x=1", "0 +/a;x=1"),
        ("/users/7;x", "1 id=7;x"),
        ("/users;x/7", "ambiguous"),
        ("/users/;x", "ambiguous"),
        ("/;/admin", "ambiguous"),
        ("/x/;y/admin", "ambiguous"),
        ("/x/..%3B/admin", "ambiguous"),
        ("/x/.;y/admin", "ambiguous"),
        ("/x/;y", "4 +/x/;y"),
        ("/matrix;v=2", "3 v=2"),
        ("/other;a/b;c", "4 +/other;a/b;c"),
        ("/@me/caf%C3%A9", "5"),
        ("/%40me/caf%c3%a9", "5"),
        ("/~ann,/x", "6 +/x"),
        ("/%7eann%2C/x%2c", "6 +/x%2c"),
        // Where such paths are let pass.
        ("/users/a%2Fb", "ambiguous"),
        ("/%2fadmin", "ambiguous"),
        ("//admin", "ambiguous"),
        ("//;x/admin", "ambiguous"),
        ("/admin%2Fx", "ambiguous"),
        ("/x/a%2F..", "ambiguous"),
        ("/x%2Fadmin", "4 +/x%2Fadmin"),
        ("/files/a%2fb//c", "2 all=a/b//c"),
        ("//x", "4 +//x"),
    ] {
        assert_eq!(ask(&table, "GET", "a.test", uri, &[]), expected, "{uri}");
    }
    let table = Table::build(&routes[..3]).unwrap();
    assert_eq!(ask(&table, "GET", "a.test", "/users/a%2Fb", &[]), "1 id=a/b", "no other route is for it");
}

#[test]
fn a_preflight_is_no_way_around_conditions_of_routes_that_answer_none() {
    let mut guarded = route(&[], path("/x"), &[]);
    guarded.conditions =
        vec![Condition::Header(HeaderName::from_static("x-inner"), Test::Is("secret".to_owned()))];
    let mut answered = guarded.clone();
    answered.path = path("/y");
    answered.cors = Some(cors());
    let table = Table::build(&[guarded, answered]).unwrap();
    let preflight = [("origin", "https://a.test"), ("access-control-request-method", "PUT")];
    assert_eq!(ask(&table, "OPTIONS", "a.test", "/x", &preflight), "none");
    assert_eq!(ask(&table, "OPTIONS", "a.test", "/y", &preflight), "1");
}
