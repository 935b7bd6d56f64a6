//! Any text as a configuration: it is read or refused with words, and what is accepted can be built and asked.

use std::path::Path;
use std::str;

use hyper::Request;
use hyper::http::request::Parts;
use xdp_lb::config::gateway::GatewayConfig;
use xdp_lb::config::{Config, DecapConfig, Errors};
use xdp_lb::gateway::route::{Match, Table};
use xdp_lb::gateway::transform::Context;
use xdp_lb::gateway::wire::Bounds;

use super::scene::{Plan, built, exchange};

pub(super) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let file = Path::new("input.toml");
    told(Config::from_toml(text, file));
    told(DecapConfig::from_toml(text, file));
    if let Some(config) = told(GatewayConfig::from_toml(text, file)) {
        let _ = Bounds::from(&config.gateway.limits);
        let table = built(Table::build(&config.routes));
        let plans: Vec<_> = config.routes.iter().map(Plan::build).collect();
        for head in heads() {
            ask(&table, &plans, &head);
        }
    }
}

/// Something is wrong, or nothing is; and each thing is told in words, with its line.
fn told<T>(read: Result<T, Errors>) -> Option<T> {
    let errors = match read {
        Ok(config) => return Some(config),
        Err(errors) => errors,
    };
    assert!(!errors.problems().is_empty() && !errors.to_string().is_empty());
    for problem in errors.problems() {
        assert!(!problem.message.is_empty(), "{problem:?}");
    }
    None
}

/// A few requests, mostly for what `every_key.toml` has.
fn heads() -> impl Iterator<Item = Parts> {
    let lines =
        ["GET /api/movies/7/a/b?q=1", "PURGE /api/movies/%20/", "GET /staff/a?b", "GET /films/1", "GET /"];
    lines.into_iter().map(|line| {
        let (method, target) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(target).header("host", "a.movies.example");
        request.header("x-canary", "yes").header("x-there", "").body(()).unwrap().into_parts().0
    })
}

fn ask(table: &Table, plans: &[Plan], head: &Parts) {
    for host in ["a.movies.example", "www.example.com"] {
        let Match::Route(found) = table.find(head, host) else { continue };
        let plan = &plans[found.route];
        let rest = found.rest(head.uri.path());
        let mut exchange = exchange(head, host);
        exchange.parameters.clone_from(&found.parameters);
        let context = Context { exchange: &exchange, head, rest, status: None };
        let _ = plan.redirect.as_ref().map(|redirect| redirect.answer(&context));
        if let Some(mut answer) = plan.respond.as_ref().map(|respond| respond.answer(&context)) {
            plan.response.apply(&context, &mut answer);
        }
        let _ = plan.request.apply(&exchange, rest, &mut head.clone());
    }
}
