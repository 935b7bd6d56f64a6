//! What a gateway's configuration says, on a screen.

use std::fmt::Write as _;

use super::counted;
use crate::config::gateway::{
    Action, ClientAuth, GatewayConfig, HostPattern, Listener, Members, PathPattern, PoolConfig, Route,
    UpstreamProtocol,
};
use crate::config::{Health, HealthKind};

/// Listeners, pools and routes that have a line, of each.
const SHOWN: usize = 20;

/// Adds the summary and the notes.
pub(super) fn sum_up(text: &mut String, config: &GatewayConfig) {
    let _ = writeln!(
        text,
        "{}, {}, {}",
        counted(config.listeners.len(), "listener"),
        counted(config.pools.len(), "pool"),
        counted(config.routes.len(), "route")
    );
    lines(text, config.listeners.iter().map(listener));
    lines(text, config.pools.iter().map(pool));
    lines(text, config.routes.iter().map(|one| route(config, one)));
    for note in config.notes() {
        let _ = writeln!(text, "note: {note}");
    }
}

fn lines(text: &mut String, all: impl ExactSizeIterator<Item = String>) {
    let more = all.len().saturating_sub(SHOWN);
    for line in all.take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

fn listener(listener: &Listener) -> String {
    let versions = if listener.http2 { "HTTP/1.1 and HTTP/2" } else { "HTTP/1.1" };
    let mut line = format!("listener {}: {}, {versions}", listener.name, listener.address);
    if let Some(tls) = &listener.tls {
        let _ = write!(line, " over TLS, {}", counted(tls.certificates.len(), "certificate"));
        line.push_str(match tls.client_auth {
            ClientAuth::Off => "",
            ClientAuth::Optional => ", clients may show theirs",
            ClientAuth::Required => ", clients have to show theirs",
        });
    }
    if listener.proxy_protocol {
        line.push_str(", behind the PROXY protocol");
    }
    line
}

fn pool(pool: &PoolConfig) -> String {
    let members = match &pool.members {
        Members::Static(servers) => counted(servers.len(), "server"),
        Members::Dns { name, port: Some(port), .. } => format!("the addresses of {name}, port {port}"),
        Members::Dns { name, port: None, .. } => format!("the services of {name}"),
        Members::File { path, .. } => format!("the servers in {}", path.display()),
    };
    let version = match pool.protocol {
        UpstreamProtocol::Http1 => "HTTP/1.1",
        UpstreamProtocol::Http2 => "HTTP/2",
    };
    let tls = match &pool.tls {
        None => "",
        Some(tls) if tls.verify => " over TLS",
        Some(_) => " over TLS, whoever answers",
    };
    format!("pool {}: {members} by {version}{tls}, {}", pool.name, checks(pool.health.as_ref()))
}

fn checks(health: Option<&Health>) -> String {
    let at = |port: u16| if port == 0 { String::new() } else { format!(" on port {port}") };
    match health.map(|health| &health.kind) {
        Some(HealthKind::Tcp { port }) => format!("checked by TCP{}", at(*port)),
        Some(HealthKind::Http { port, path, tls, .. }) => {
            let tls = if tls.is_some() { " over TLS" } else { "" };
            format!("checked by GET {path}{tls}{}", at(*port))
        }
        _ => "judged by its answers alone".to_owned(),
    }
}

fn route(config: &GatewayConfig, route: &Route) -> String {
    let mut line = format!("route {}: ", route.name);
    if !route.methods.is_empty() {
        let methods: Vec<&str> = route.methods.iter().map(http::Method::as_str).collect();
        let _ = write!(line, "{} ", methods.join("|"));
    }
    let hosts: Vec<String> = route.hosts.iter().map(host).collect();
    line.push_str(&match hosts.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} and {} ", counted(more.len(), "other host")),
    });
    match &route.path {
        PathPattern::Path(path) => line.push_str(path),
        PathPattern::Prefix(prefix) => {
            let _ = write!(line, "{prefix}/…");
        }
    }
    if !route.conditions.is_empty() {
        let _ = write!(line, " on {}", counted(route.conditions.len(), "condition"));
    }
    line.push_str(&action(config, &route.action));
    let verifiers = route.access.any_of.iter().chain(&route.access.external);
    let verifiers: Vec<&str> = verifiers
        .filter_map(|index| config.verifiers.get(*index))
        .map(|verifier| verifier.name.as_str())
        .collect();
    if !verifiers.is_empty() {
        let _ = write!(line, ", verified by {}", verifiers.join(", "));
    }
    if let Some(document) =
        route.contract.as_ref().and_then(|contract| config.documents.get(contract.document))
    {
        let _ = write!(line, ", by the API of {}", document.name);
    }
    let limits = route.rate_limits.iter().filter_map(|index| config.rate_limits.get(*index));
    let limits: Vec<&str> = limits.map(|limit| limit.name.as_str()).collect();
    if !limits.is_empty() {
        let _ = write!(line, ", limited by {}", limits.join(", "));
    }
    line
}

fn host(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Below(name) => format!("*.{name}"),
    }
}

fn action(config: &GatewayConfig, action: &Action) -> String {
    let name = |index: &usize| config.pools.get(*index).map_or("?", |pool| pool.name.as_str());
    match action {
        Action::Forward(shares) => match shares.as_slice() {
            [(only, _)] => format!(" to {}", name(only)),
            several => {
                let whole: f64 = several.iter().map(|(_, weight)| f64::from(*weight)).sum();
                let share = |(pool, weight): &(usize, u32)| {
                    format!("{} {:.1} %", name(pool), f64::from(*weight) * 100.0 / whole.max(1.0))
                };
                format!(" to {}", several.iter().map(share).collect::<Vec<_>>().join(", "))
            }
        },
        Action::Redirect { status, .. } => format!(" redirected with {}", status.as_u16()),
        Action::Respond { status, .. } => format!(" answered with {}", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const GATEWAY: &str = r#"
        [gateway]
        handover_socket = "/run/xdp-lb/handover.sock"
        [[listener]]
        name = "plain"
        address = "0.0.0.0:8080"
        proxy_protocol = true
        http2 = false
        [[listener]]
        name = "tls"
        address = "[::]:8443"
        tls = { certificates = [{ certificate = "/a.pem", key = "/a.key" }], client_auth = "required", client_ca = "/ca.pem" }
        [[pool]]
        name = "one"
        server = [{ address = "10.0.0.1:80" }, { address = "10.0.0.2:80" }]
        health = { kind = "http", path = "/healthz", port = 81 }
        [[pool]]
        name = "two"
        protocol = "http2"
        dns = { name = "two.internal", port = 443 }
        tls = {}
        health = { kind = "https", path = "/up" }
        [[pool]]
        name = "three"
        file = { path = "/run/three.json" }
        health = { kind = "tcp" }
        [[pool]]
        name = "four"
        dns = { name = "_http._tcp.four.internal" }
        tls = { verify = false }
        [[verifier]]
        name = "certificates"
        certificate = {}
        [[rate_limit]]
        name = "slow"
        key = "address"
        rate = "1/m"
        [[openapi]]
        name = "api"
        path = "/api.yaml"
        [[route]]
        name = "split"
        hosts = ["a.example", "*.b.example"]
        methods = ["GET", "HEAD"]
        path = "/x/{id}"
        header = [{ name = "x-canary", present = true }]
        split = [{ pool = "one", weight = 3 }, { pool = "two" }]
        access = { any_of = ["certificates"] }
        rate_limits = ["slow"]
        openapi = { document = "api" }
        [[route]]
        name = "below"
        hosts = ["*.b.example"]
        prefix = "/y/"
        pool = "three"
        [[route]]
        name = "moved"
        path = "/old"
        redirect = { to = "/new" }
        [[route]]
        name = "else"
        respond = { status = 404 }
    "#;

    fn summed_up(text: &str) -> String {
        let config = GatewayConfig::from_toml(text, Path::new("gateway.toml"))
            .unwrap_or_else(|errors| panic!("{errors}"));
        let mut text = String::new();
        sum_up(&mut text, &config);
        text
    }

    #[test]
    fn a_valid_file_is_summed_up() {
        assert_eq!(
            summed_up(GATEWAY),
            "2 listeners, 4 pools, 4 routes\n\
             \x20 listener plain: 0.0.0.0:8080, HTTP/1.1, behind the PROXY protocol\n\
             \x20 listener tls: [::]:8443, HTTP/1.1 and HTTP/2 over TLS, 1 certificate, clients have to show theirs\n\
             \x20 pool one: 2 servers by HTTP/1.1, checked by GET /healthz on port 81\n\
             \x20 pool two: the addresses of two.internal, port 443 by HTTP/2 over TLS, checked by GET /up over TLS\n\
             \x20 pool three: the servers in /run/three.json by HTTP/1.1, checked by TCP\n\
             \x20 pool four: the services of _http._tcp.four.internal by HTTP/1.1 over TLS, whoever answers, judged by its answers alone\n\
             \x20 route split: GET|HEAD a.example and 1 other host /x/{id} on 1 condition to one 75.0 %, two 25.0 %, verified by certificates, by the API of api, limited by slow\n\
             \x20 route below: *.b.example/y/… to three\n\
             \x20 route moved: /old redirected with 307\n\
             \x20 route else: /… answered with 404\n\
             note: pool \"four\": tls.verify = false: whoever answers is taken for the server\n\
             note: pool \"four\" is not used\n"
        );
    }

    #[test]
    fn a_large_file_still_fits_on_a_screen() {
        let mut text =
            "[gateway]\nhandover_socket = \"/h\"\n[[listener]]\nname = \"a\"\naddress = \"0.0.0.0:80\"\n"
                .to_owned();
        for index in 0..64 {
            let _ = writeln!(text, "[[route]]\nname = \"r{index}\"\npath = \"/{index}\"\nrespond = {{}}");
        }
        let summary = summed_up(&text);
        assert_eq!(summary.lines().count(), 1 + 1 + SHOWN + 1, "{summary}");
        assert!(summary.ends_with("  and 44 more\n"), "{summary}");
    }
}
