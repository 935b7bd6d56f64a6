//! What the gateway decides on a head that passed: host, hop-by-hop fields, route, changes, redirects.

use hyper::http::request::Parts;
use xdp_lb::config::gateway::GatewayConfig;
use xdp_lb::config::gateway::Paths;
use xdp_lb::gateway::enforce::{self, check_path};
use xdp_lb::gateway::route::{Match, Table};
use xdp_lb::gateway::transform::{Context, cors, forwarded, request_id, trace_context};
use xdp_lb::gateway::wire::Bounds;

use super::super::scene::{Plan, built, configuration, exchange};

/// Routes of every shape, with changes that take what a client sends.
const ROUTES: &str = r#"
[gateway]
trusted_proxies = ["192.0.2.0/24"]
forwarded = "both"

[[route]]
name = "parameters"
path = "/m/{id}/{*rest}"
pool = "app"
[route.request]
path = "/v2/{param:id}/x{param:rest}"
[route.request.headers]
set = { x-client = "{client}", x-path = "{method} {path}{query}", x-agent = "{header:user-agent}" }
add = { via = "1.1 {host}" }
[route.request.query]
remove = ["debug"]
set = { user = "{param:id}" }
add = { agent = "{header:user-agent}{query:q}" }
[route.cors]
origins = ["https://www.example.com", "http://*.example.com:8080"]
credentials = true

[[route]]
name = "host"
hosts = ["*.example"]
path = "/h/{name}"
pool = "app"
[route.request]
host = "{param:name}.internal:8080"

[[route]]
name = "suffix"
path = "/f/{name}.json"
methods = ["GET", "POST"]
pool = "app"
[route.request]
path = "/{param:name}"
[[route.query]]
name = "b"
present = false
[[route.header]]
name = "x-canary"
matches = "[a-z]*"

[[route]]
name = "prefix"
prefix = "/p"
pool = "app"
[route.request]
path = "/new"

[[route]]
name = "redirect"
prefix = "/r"
redirect = { to = "https://{host}/to{rest}{query}", status = 308 }

[[route]]
name = "elsewhere"
path = "/e/{id}"
redirect = { to = "/{param:id}?q={query:q}", status = 302 }

[[route]]
name = "answer"
path = "/up"
respond = { status = 200, body = "{{\"path\": {path}, \"agent\": {header:user-agent}}", content_type = "application/json" }

[[route]]
name = "any"
prefix = "/"
pool = "app"
[route.request.query]
remove = ["secret"]
"#;

pub(super) struct Judge {
    config: GatewayConfig,
    table: Table,
    plans: Vec<Plan>,
}

impl Judge {
    pub(super) fn new() -> Self {
        let config = configuration(ROUTES);
        let table = built(Table::build(&config.routes));
        let plans = config.routes.iter().map(Plan::build).collect();
        Self { config, table, plans }
    }

    /// As the gateway goes on with a request.
    pub(super) fn head(&self, mut head: Parts, bounds: Bounds) {
        let Ok(host) = enforce::check(&head, bounds, Paths::default()).map(|host| host.name.into_owned())
        else {
            return;
        };
        assert!(!host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_uppercase()), "{host:?}");
        let upgrades = head.headers.contains_key("upgrade");
        if enforce::strip_hop_by_hop(&mut head.headers, upgrades).is_err() {
            return;
        }
        for name in ["transfer-encoding", "keep-alive", "proxy-connection"] {
            assert!(!head.headers.contains_key(name), "{name} stays");
        }
        let mut exchange = exchange(&head, &host);
        let gateway = &self.config.gateway;
        (exchange.client, exchange.scheme) = forwarded::client(gateway, &exchange.peer, &head.headers);
        exchange.id = request_id::of(gateway, true, &head.headers);
        assert!(!exchange.id.as_str().is_empty());
        if let Some(context) = trace_context::parse(&head.headers, 7) {
            let _ = trace_context::format(&context);
        }
        // The last route takes what no other does, but for `OPTIONS *`.
        let found = match self.table.find(&head, &host) {
            Match::Route(found) => found,
            Match::Ambiguous => return assert!(head.uri.path().contains(';')),
            _ => return assert_eq!(head.uri.path(), "*"),
        };
        let rest = found.rest(head.uri.path()).to_owned();
        assert!(rest.is_empty() || rest == "*" || rest.starts_with('/'), "{rest:?}");
        exchange.parameters = found.parameters;
        self.carry_out(&self.plans[found.route], exchange, &rest, head);
    }

    fn carry_out(&self, plan: &Plan, exchange: xdp_lb::gateway::Exchange, rest: &str, mut head: Parts) {
        if let Some(policy) = &plan.cors
            && cors::preflight_method(&head).is_some()
        {
            let _ = policy.preflight(&head);
        }
        let context = Context { exchange: &exchange, head: &head, rest, status: None };
        if let Some(Ok(answer)) = plan.redirect.as_ref().map(|redirect| redirect.answer(&context)) {
            let to = answer.headers()["location"].to_str().unwrap();
            let host = exchange.host.to_string();
            let is_bound = to.strip_prefix("https://").is_some_and(|to| to.starts_with(&host))
                || to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\");
            assert!(is_bound, "a redirect to {to}");
        }
        if let Some(mut answer) = plan.respond.as_ref().map(|respond| respond.answer(&context)) {
            plan.response.apply(&context, &mut answer);
        }
        if plan.request.apply(&exchange, rest, &mut head).is_ok() {
            forwarded::apply(&self.config.gateway, &exchange, &mut head);
            let path = head.uri.path();
            assert!(path == "*" || check_path(path, Paths::default()).is_ok(), "a server gets {path}");
            assert_eq!(head.headers.get_all("host").iter().count(), 1);
        }
    }
}
