//! What is accepted: a file with every key, value for value.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::super::super::gateway::*;
use super::super::super::live::Ratio;
use super::super::super::{CheckTls, CheckVia, Health, HealthKind, Weight};
use super::config;

const EVERY_KEY: &str = include_str!("every_key.toml");

/// The file, with authorities that are there.
fn every_key() -> GatewayConfig {
    let key = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key.cert.pem()).unwrap();
    config(&EVERY_KEY.replace("XDP_LB_CA", file.path().to_str().unwrap()))
}

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn text(text: &str) -> TemplatePart {
    TemplatePart::Text(text.to_owned())
}

fn template(parts: &[TemplatePart]) -> Template {
    Template { parts: parts.to_vec() }
}

fn files(certificate: &str, key: &str) -> CertificateFiles {
    CertificateFiles { certificate: certificate.into(), key: key.into() }
}

/// Every table at a path of keys.
fn tables_at<'a>(table: &'a DeTable<'a>, path: &[&str]) -> Vec<&'a DeTable<'a>> {
    let Some((first, rest)) = path.split_first() else { return vec![table] };
    match table.get(*first).map(toml::Spanned::get_ref) {
        Some(DeValue::Table(inner)) => tables_at(inner, rest),
        Some(DeValue::Array(inner)) => inner
            .iter()
            .filter_map(|one| one.get_ref().as_table())
            .flat_map(|one| tables_at(one, rest))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_file_has_every_key() {
    let root = DeTable::parse(EVERY_KEY).unwrap();
    for (schema, _) in schemas() {
        let path: Vec<&str> = schema.header.trim_matches(['[', ']']).split('.').collect();
        let tables = tables_at(root.get_ref(), &path);
        for key in schema.keys {
            // A pool has its servers, and a verifier its way, from one place.
            assert!(tables.iter().any(|table| table.contains_key(*key)), "{} {key}", schema.header);
        }
    }
}

#[test]
fn the_same_text_gives_the_same_configuration() {
    let text = EVERY_KEY.replace("ca = \"XDP_LB_CA\"", "");
    assert_eq!(config(&text), config(&text));
    assert_ne!(config(&text), config(&text.replace("x-roles", "x-role")));
}

#[test]
fn the_process_and_what_is_seen_of_it() {
    let config = every_key();
    assert_eq!(
        config.gateway,
        Gateway {
            threads: 4,
            notice: secs(3),
            drain: secs(60),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            request_id_header: header("x-correlation-id"),
            forwarded: Forwarded::Both,
            handover_socket: Some("/run/xdp-lb-gateway/handover.sock".into()),
            limits: Limits {
                headers: 64,
                header_bytes: 16 << 10,
                uri_bytes: 4096,
                body_bytes: 1 << 20,
                header_timeout: secs(5),
                idle_timeout: secs(120),
                body_timeout: secs(20),
                body_rate: 500,
                send_timeout: secs(15),
                requests_per_connection: 10_000,
                streams: 64,
                resets_per_second: 50,
                idle_frames_per_second: 500,
                connections: 10_000,
            },
            max_in_flight: 20_000,
            max_lag: millis(50),
            paths: Paths { encoded_slash: EncodedSlash::Pass, empty_segments: EmptySegments::Merge },
        }
    );
    assert_eq!(config.admin, Some(GatewayAdmin { listen: "127.0.0.1:9402".parse().unwrap() }));
    assert_eq!(
        config.log,
        AccessLog {
            format: LogFormat::Json,
            path: Some("/var/log/xdp-lb/access.log".into()),
            sample: Ratio::thousandths(100),
            headers: vec![header("user-agent"), header("referer")],
        }
    );
    assert_eq!(
        config.trace,
        Some(Trace {
            endpoint: "https://127.0.0.1:4318".parse().unwrap(),
            sample: Ratio::thousandths(50),
            service: "edge".to_owned(),
            tls: Some(UpstreamTls {
                server_name: Some("traces.internal".to_owned()),
                verify: true,
                ca: Some("/etc/xdp-lb/ca.pem".into()),
                certificate: Some(CertificateFiles {
                    certificate: "/etc/xdp-lb/client.pem".into(),
                    key: "/etc/xdp-lb/client.key".into(),
                }),
            }),
        })
    );
    assert_eq!(
        config.listeners,
        [Listener {
            name: "public".to_owned(),
            address: "0.0.0.0:8443".parse().unwrap(),
            proxy_protocol: true,
            http2: false,
            tls: Some(ListenerTls {
                certificates: vec![
                    files("/etc/xdp-lb/www.pem", "/etc/xdp-lb/www.key"),
                    files("/etc/xdp-lb/api.pem", "/etc/xdp-lb/api.key"),
                ],
                client_auth: ClientAuth::Optional,
                client_ca: Some("/etc/xdp-lb/clients.pem".into()),
                min_version: TlsVersion::Tls13,
            }),
        }]
    );
}

#[test]
fn pools() {
    let pools = every_key().pools;
    let server = |name: &str, address: &str, weight: u16| Server {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        weight: Weight::from(weight),
    };
    assert_eq!(
        pools[0],
        PoolConfig {
            name: "movies".to_owned(),
            members: Members::Static(vec![
                server("movies-1", "10.0.0.11:8080", 300),
                server("[2001:db8::12]:8080", "[2001:db8::12]:8080", 100),
            ]),
            protocol: UpstreamProtocol::Http2,
            tls: Some(UpstreamTls {
                server_name: Some("movies.internal".to_owned()),
                verify: true,
                ca: Some("/etc/xdp-lb/internal.pem".into()),
                certificate: Some(files("/etc/xdp-lb/gateway.pem", "/etc/xdp-lb/gateway.key")),
            }),
            proxy_protocol: true,
            health: Some(Health {
                kind: HealthKind::Http {
                    port: 8081,
                    path: "/healthz".to_owned(),
                    host: "movies.internal".to_owned(),
                    expect: 200..=200,
                    body: Some("ok".to_owned()),
                    tls: Some(CheckTls {
                        server_name: "health.movies.internal".to_owned(),
                        verify: false,
                        ca: None,
                    }),
                },
                via: CheckVia::Direct,
                interval: secs(5),
                fast_interval: secs(1),
                timeout: millis(500),
                rise: 1,
                fall: 2,
            }),
            balance: Balance {
                choices: 3,
                warmup: secs(30),
                eject_after: 3,
                eject_least: secs(2),
                eject_most: secs(20),
                utilization_header: Some(header("x-server-utilization")),
                failures: vec![429, 500, 501, 502, 503],
            },
            retry: Retry {
                tries: 3,
                budget: Ratio::thousandths(100),
                least: 5,
                statuses: vec![502, 503],
                body_bytes: 128 << 10,
            },
            hedge: Some(Hedge { after: millis(50) }),
            breaker: Breaker { max_in_flight: 500, max_pending: 50, pending_timeout: millis(250) },
            timeouts: UpstreamTimeouts {
                connect: millis(500),
                per_try: secs(5),
                request: secs(12),
                idle: secs(300),
            },
            idle_connections: 16,
            idle_timeout: secs(10),
        }
    );
    assert_eq!(
        pools[1].members,
        Members::Dns {
            name: "movies-next.internal".to_owned(),
            port: Some(8080),
            refresh: (secs(2), secs(60)),
            resolvers: vec!["127.0.0.1:5353".parse().unwrap()],
        }
    );
    let Some(Health { kind: HealthKind::Http { port: 0, host, tls: Some(tls), .. }, .. }) = &pools[1].health
    else {
        panic!("{:?}", pools[1].health);
    };
    assert_eq!((host.as_str(), tls.server_name.as_str()), ("movies-next.internal", "movies-next.internal"));
    assert!(tls.ca.as_ref().unwrap().starts_with(b"-----BEGIN CERTIFICATE-----"));
    let file = Members::File { path: "/run/xdp-lb/login.json".into(), interval: secs(5) };
    assert_eq!(pools[2].members, file);
}

#[test]
fn verifiers_limits_and_documents() {
    let config = every_key();
    let one_of = |texts: &[&str]| ClaimTest::OneOf(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(
        config.verifiers[0],
        Verifier {
            name: "tokens".to_owned(),
            kind: VerifierKind::Jwt(Jwt {
                keys: JwtKeys::Fetched {
                    pool: 2,
                    path: "/keys?all=1".to_owned(),
                    host: "login.example.com".to_owned(),
                    refresh: secs(300),
                    least: secs(10),
                },
                algorithms: vec![JwtAlgorithm::Rs256, JwtAlgorithm::EdDsa],
                issuer: Some("https://login.example.com".to_owned()),
                audience: vec!["movies".to_owned(), "api".to_owned()],
                claims: vec![
                    ("sub".to_owned(), ClaimTest::Present),
                    ("tier".to_owned(), one_of(&["gold"])),
                    ("scope".to_owned(), one_of(&["movies:read", "movies:write"])),
                ],
                leeway: secs(5),
                header: header("x-token"),
            }),
            pass: vec![
                (header("x-user"), Pass::Subject),
                (header("x-org"), Pass::Claim("org".to_owned())),
                (header("x-by"), Pass::Verifier),
            ],
        }
    );
    let VerifierKind::Jwt(local) = &config.verifiers[1].kind else { panic!() };
    assert_eq!(local.keys, JwtKeys::File("/etc/xdp-lb/jwks.json".into()));
    let kinds: Vec<&VerifierKind> = config.verifiers[2..].iter().map(|verifier| &verifier.kind).collect();
    assert_eq!(
        kinds,
        [
            &VerifierKind::ApiKey { header: header("x-key"), path: "/etc/xdp-lb/keys".into() },
            &VerifierKind::Basic { realm: "staff only".to_owned(), path: "/etc/xdp-lb/users".into() },
            &VerifierKind::Certificate {
                subjects: vec!["billing.example.com".to_owned(), "*.jobs.example.com".to_owned()],
            },
            &VerifierKind::External(External {
                pool: 2,
                prefix: "/check".to_owned(),
                request_headers: vec![header("cookie")],
                response_headers: vec![header("x-roles")],
                timeout: millis(200),
                fail_open: false,
            }),
        ]
    );
    assert_eq!(
        config.rate_limits,
        [RateLimit {
            name: "by-user".to_owned(),
            key: RateKey::Claim("sub".to_owned()),
            requests: 50,
            period: secs(10),
            burst: 20,
            max_keys: 1000,
        }]
    );
    let document = Document { name: "movies".to_owned(), path: "/etc/xdp-lb/movies.yaml".into() };
    assert_eq!(config.documents, [document]);
}

#[test]
fn routes() {
    use TemplatePart as Part;
    let routes = every_key().routes;
    let claim = |name: &str| Part::Claim(name.to_owned());
    let id = || Part::PathParameter("id".to_owned());
    assert_eq!(
        routes[0],
        Route {
            name: "movie".to_owned(),
            hosts: vec![
                HostPattern::Exact("www.example.com".to_owned()),
                HostPattern::Below("movies.example".to_owned()),
            ],
            path: PathPattern::Path("/api/movies/{id}/{*rest}".to_owned()),
            methods: vec![Method::GET, Method::from_bytes(b"PURGE").unwrap()],
            method_override: MethodOverride::Pass,
            conditions: vec![
                Condition::Header(header("x-canary"), Test::Is("yes".to_owned())),
                Condition::Header(header("x-agent"), Test::Matches("(?i)curl/.*".to_owned())),
                Condition::Header(header("x-there"), Test::Present),
                Condition::Query("debug".to_owned(), Test::Absent),
                Condition::Query("v".to_owned(), Test::Is("2".to_owned())),
                Condition::Query("w".to_owned(), Test::Matches("[0-9]+".to_owned())),
            ],
            action: Action::Forward(vec![(0, 9), (1, 1)]),
            body_bytes: Some(2 << 20),
            timeout: Some(secs(3)),
            access: Access {
                allow: vec!["10.0.0.0/8".parse().unwrap()],
                deny: vec!["10.9.0.0/16".parse().unwrap()],
                any_of: vec![0, 1],
                claims: vec![("scope".to_owned(), ClaimTest::OneOf(vec!["movies:read".to_owned()]))],
                external: Some(5),
            },
            rate_limits: vec![0],
            contract: Some(ContractUse {
                document: 0,
                base_path: "/api".to_owned(),
                requests: ContractMode::Report,
                responses: ContractMode::Enforce,
                most_bytes: 512 << 10,
            }),
            request: RequestChanges {
                path: Some(template(&[text("/v2"), Part::Path, text("/"), id()])),
                host: Some(template(&[id(), text(".internal:8080")])),
                headers: HeaderChanges {
                    remove: vec![header("x-debug")],
                    set: vec![
                        (header("x-client"), template(&[Part::Client])),
                        (header("x-path"), template(&[Part::Method, text(" "), Part::Path, Part::Query])),
                    ],
                    add: vec![(header("via"), template(&[text("1.1 "), Part::Host]))],
                },
                query: QueryChanges {
                    remove: vec!["debug".to_owned()],
                    set: vec![("user".to_owned(), template(&[claim("sub")]))],
                    add: vec![(
                        "agent".to_owned(),
                        template(&[Part::Header(header("user-agent")), Part::QueryParameter("q".to_owned())]),
                    )],
                },
                body: Some(BodyTransform {
                    drop: vec!["/internal".to_owned()],
                    rename: vec![("/user/id".to_owned(), "user_id".to_owned())],
                    set: vec![
                        ("/by".to_owned(), SetValue::Text(template(&[Part::Identity]))),
                        ("/list".to_owned(), SetValue::Json(json!([1, -2.5, true, "a", { "b": {} }]))),
                    ],
                    most_bytes: 64 << 10,
                }),
            },
            response: ResponseChanges {
                headers: HeaderChanges {
                    remove: vec![header("server")],
                    set: vec![(header("x-request-id"), template(&[Part::RequestId]))],
                    add: vec![(header("x-status"), template(&[Part::Status]))],
                },
                body: Some(BodyTransform {
                    drop: vec!["/items/*/secret".to_owned()],
                    rename: vec![("/items/*/a~1b".to_owned(), "ab".to_owned())],
                    set: vec![("/ok".to_owned(), SetValue::Json(json!(true)))],
                    most_bytes: 4096,
                }),
                templates: vec![ResponseTemplate {
                    statuses: 500..=599,
                    body: template(&[text("{\"status\": "), Part::Status, text("}")]),
                    content_type: "application/json".to_owned(),
                }],
            },
            cors: Some(Cors {
                origins: Origins::Listed(vec![
                    Origin::Exact("https://www.example.com".to_owned()),
                    Origin::Below("http://".to_owned(), ".example.com:8080".to_owned()),
                ]),
                methods: vec![Method::GET],
                headers: vec![header("content-type")],
                expose: vec![header("etag")],
                credentials: true,
                max_age: secs(3600),
            }),
            compression: Some(Compression {
                encodings: vec![Encoding::Gzip, Encoding::Brotli],
                least_bytes: 256,
                types: vec!["text/*".to_owned(), "application/json".to_owned()],
            }),
            mirror: Some(Mirror { pool: 1, share: Ratio::thousandths(10) }),
        }
    );
    assert_eq!(routes[1].path, PathPattern::Prefix("/staff".to_owned()));
    assert_eq!(routes[1].action, Action::Forward(vec![(0, 1)]));
    assert_eq!(routes[1].access.any_of, [2, 3, 4]);
    assert_eq!(
        routes[2].action,
        Action::Redirect {
            to: template(&[text("https://"), Part::Host, text("/api/movies/"), id()]),
            status: StatusCode::PERMANENT_REDIRECT,
        }
    );
    assert_eq!(
        routes[3].action,
        Action::Respond {
            status: StatusCode::IM_A_TEAPOT,
            body: template(&[text("short and stout, "), Part::Client]),
            content_type: "text/plain".to_owned(),
        }
    );
}
