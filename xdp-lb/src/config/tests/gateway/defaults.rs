//! Every default, and what depends on what.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

use super::super::super::gateway::*;
use super::super::super::live::Ratio;
use super::super::super::{Health, HealthKind};
use super::{At, config};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn of_the_process() {
    let config = config(&At::Top.around(""));
    assert_eq!(
        config.gateway,
        Gateway {
            threads: 0,
            notice: Duration::ZERO,
            drain: secs(30),
            trusted_proxies: Vec::new(),
            request_id_header: HeaderName::from_static("x-request-id"),
            forwarded: Forwarded::X,
            handover_socket: None,
            limits: Limits {
                headers: 100,
                header_bytes: 32 << 10,
                uri_bytes: 8 << 10,
                body_bytes: 10 << 20,
                header_timeout: secs(10),
                idle_timeout: secs(60),
                body_timeout: secs(30),
                body_rate: 240,
                send_timeout: secs(30),
                requests_per_connection: 0,
                streams: 128,
                resets_per_second: 100,
                idle_frames_per_second: 1000,
                connections: 65_536,
            },
            max_in_flight: 0,
            max_lag: Duration::ZERO,
            paths: crate::config::gateway::Paths::default(),
        }
    );
    let log = AccessLog {
        format: LogFormat::Json,
        path: None,
        sample: Ratio::thousandths(1000),
        headers: Vec::new(),
    };
    assert_eq!((config.admin, config.log, config.trace), (None, log, None));
    let [listener] = config.listeners.as_slice() else { panic!() };
    assert!(!listener.proxy_protocol && listener.http2 && listener.tls.is_none());
}

#[test]
fn of_tables_that_may_be_left_out() {
    let text = "admin = {}\n[trace]\nendpoint = \"http://a:4318/x\"\n";
    let config = config(&format!(
        "{text}{}",
        At::Top.around("tls = { certificates = [{ certificate = \"/a\", key = \"/b\" }] }")
    ));
    assert_eq!(config.admin.unwrap().listen, "127.0.0.1:9401".parse().unwrap());
    let trace = config.trace.unwrap();
    assert_eq!(trace.tls, None);
    assert_eq!((trace.sample, trace.service.as_str()), (Ratio::thousandths(10), "xdp-lb"));
    let tls = config.listeners[0].tls.clone().unwrap();
    assert_eq!((tls.client_auth, tls.client_ca, tls.min_version), (ClientAuth::Off, None, TlsVersion::Tls12));
}

#[test]
fn of_a_pool() {
    let pool = config(&At::Pool.around("")).pools.remove(0);
    assert!(!pool.proxy_protocol && pool.tls.is_none() && pool.health.is_none() && pool.hedge.is_none());
    assert_eq!(
        (pool.protocol, pool.idle_connections, pool.idle_timeout),
        (UpstreamProtocol::Http1, 64, secs(30))
    );
    assert_eq!(
        pool.balance,
        Balance {
            choices: 2,
            warmup: secs(90),
            eject_after: 5,
            eject_least: secs(5),
            eject_most: secs(60),
            utilization_header: None,
            failures: vec![500, 502, 503, 504],
        }
    );
    let statuses = vec![502, 503, 504];
    let budget = Ratio::thousandths(200);
    assert_eq!(pool.retry, Retry { tries: 2, budget, least: 3, statuses, body_bytes: 64 << 10 });
    assert_eq!(pool.breaker, Breaker { max_in_flight: 0, max_pending: 100, pending_timeout: secs(1) });
    let timeouts =
        UpstreamTimeouts { connect: secs(2), per_try: secs(15), request: secs(30), idle: secs(60) };
    assert_eq!(pool.timeouts, timeouts);
}

#[test]
fn what_is_left_out_follows_what_is_given() {
    let pool = |text| config(&At::Pool.around(text)).pools.remove(0);
    let times = pool("timeouts.request = \"1s\"").timeouts;
    assert_eq!((times.connect, times.per_try), (secs(1), secs(1)));
    assert_eq!(pool("balance.eject_least = \"2m\"").balance.eject_most, secs(120));
    let limits = config(&At::Top.around("[gateway.limits]\nheader_bytes = 1024")).gateway.limits;
    assert_eq!(limits.uri_bytes, 1024);
    let text = "[[rate_limit]]\nname = \"a\"\nkey = \"address\"\nrate = \"7/m\"";
    let limit = config(&At::Top.around(text)).rate_limits.remove(0);
    assert_eq!((limit.burst, limit.period, limit.max_keys), (7, secs(60), 100_000));
    let fetched = "jwt = { pool = \"p\", host = \"a\", refresh = \"10s\", algorithms = [\"RS256\"] }";
    let VerifierKind::Jwt(jwt) = config(&At::Verifier.around(fetched)).verifiers.remove(0).kind else {
        panic!()
    };
    let (path, host) = ("/.well-known/jwks.json".to_owned(), "a".to_owned());
    assert_eq!(jwt.keys, JwtKeys::Fetched { pool: 0, path, host, refresh: secs(10), least: secs(10) });
    assert_eq!((jwt.leeway, jwt.header), (secs(30), http::header::AUTHORIZATION));
}

#[test]
fn of_checks() {
    let host = |at: At, text: &str| {
        let health = config(&at.around(text)).pools.remove(0).health;
        let Some(Health { kind: HealthKind::Http { port: 0, path, host, expect, .. }, .. }) = health else {
            panic!()
        };
        assert_eq!((path.as_str(), expect), ("/", 200..=399));
        host
    };
    assert_eq!(host(At::Pool, "health.kind = \"http\""), "p");
    assert_eq!(host(At::Pool, "health.kind = \"http\"\ntls.server_name = \"a.internal\""), "a.internal");
    assert_eq!(
        host(At::BarePool, "health.kind = \"http\"\ndns = { name = \"b.internal.\", port = 1 }"),
        "b.internal"
    );
    assert_eq!(host(At::BarePool, "health.kind = \"http\"\ndns.name = \"_http._tcp.b\""), "p");
    assert_eq!(config(&At::Pool.around("health.kind = \"none\"")).pools[0].health, None);
    let tcp = config(&At::Pool.around("health.kind = \"tcp\"")).pools.remove(0).health.unwrap();
    assert_eq!((tcp.kind, tcp.rise, tcp.fall), (HealthKind::Tcp { port: 0 }, 2, 3));
    assert_eq!((tcp.interval, tcp.fast_interval), (secs(2), Duration::from_millis(500)));
}

#[test]
fn of_verifiers() {
    let kind = |text| config(&At::Verifier.around(text)).verifiers.remove(0).kind;
    let header = HeaderName::from_static("x-api-key");
    assert_eq!(kind("api_key.file = \"/k\""), VerifierKind::ApiKey { header, path: "/k".into() });
    assert_eq!(
        kind("basic.file = \"/u\""),
        VerifierKind::Basic { realm: "xdp-lb".to_owned(), path: "/u".into() }
    );
    let external = External {
        pool: 0,
        prefix: String::new(),
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        timeout: secs(1),
        fail_open: false,
    };
    assert_eq!(kind("external.pool = \"p\""), VerifierKind::External(external));
}

#[test]
fn of_a_route() {
    let route = config(&At::Route.around("")).routes.remove(0);
    assert_eq!(
        route,
        Route {
            name: "r".to_owned(),
            hosts: Vec::new(),
            path: PathPattern::Prefix(String::new()),
            methods: Vec::new(),
            method_override: MethodOverride::Refuse,
            conditions: Vec::new(),
            action: Action::Forward(vec![(0, 1)]),
            body_bytes: None,
            timeout: None,
            access: Access::default(),
            rate_limits: Vec::new(),
            contract: None,
            request: RequestChanges::default(),
            response: ResponseChanges::default(),
            cors: None,
            compression: None,
            mirror: None,
        }
    );
}

#[test]
fn of_a_routes_tables() {
    let text = "cors.origins = [\"*\"]\ncompression = {}\nmirror.pool = \"p\"\nopenapi.document = \"d\"\n\
                request.body.drop = [\"/a\"]\n[[openapi]]\nname = \"d\"\npath = \"/d\"";
    let route = config(&At::Route.around(text)).routes.remove(0);
    let cors = route.cors.unwrap();
    assert_eq!((cors.origins, cors.methods), (Origins::Any, vec![Method::GET, Method::HEAD, Method::POST]));
    assert_eq!((cors.credentials, cors.max_age), (false, secs(600)));
    let compression = route.compression.unwrap();
    assert_eq!(compression.encodings, [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip]);
    assert_eq!((compression.least_bytes, compression.types.len()), (1024, 7));
    assert_eq!(route.mirror.unwrap().share, Ratio::thousandths(1000));
    let contract = route.contract.unwrap();
    assert_eq!((contract.requests, contract.responses), (ContractMode::Enforce, ContractMode::Report));
    assert_eq!((contract.base_path.as_str(), contract.most_bytes), ("", 1 << 20));
    assert_eq!(route.request.body.unwrap().most_bytes, 1 << 20);
    let action = |text| config(&At::BareRoute.around(text)).routes.remove(0).action;
    let Action::Redirect { status, .. } = action("redirect.to = \"/\"") else { panic!() };
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    let (body, content_type) = (Template { parts: Vec::new() }, "text/plain; charset=utf-8".to_owned());
    assert_eq!(action("respond = {}"), Action::Respond { status: StatusCode::OK, body, content_type });
}
