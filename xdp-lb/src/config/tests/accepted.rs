//! What is accepted: every default, every spelling, and what may look wrong and is not.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::*;
use super::{AGENT, DECAP, In};
use std::path::Path;

fn config(text: &str) -> Config {
    Config::from_toml(text, Path::new("lb.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn vip(place: In, text: &str) -> Vip {
    config(&place.around(text)).vips.remove(0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_agents_defaults() {
    let config = config(AGENT);
    assert_eq!(
        config.agent,
        Agent {
            interfaces: vec!["eth0".to_owned()],
            xdp_mode: XdpMode::Auto,
            state_dir: PathBuf::from("/var/lib/xdp-lb"),
            control_socket: PathBuf::from("/run/xdp-lb/control.sock"),
            pin_dir: PathBuf::from("/sys/fs/bpf/xdp-lb"),
            max_vips: 64,
            max_backends: 4096,
            table_size: TableSize::MAX,
            flow_entries: 1_048_576,
            flow_idle: Duration::from_secs(3600),
            flow_insert_limit: 200_000,
            icmp_limit: 1_000,
            hash_seed: 0x7864_702d_6c62,
            tunnel_source_v4: "172.16.0.0/16".parse().unwrap(),
            tunnel_source_v6: "100::/64".parse().unwrap(),
        }
    );
    assert_eq!(config.agent.table_size.slots(), 65_537);
    assert_eq!(config.admin, None);
    assert_eq!(config.vips, []);
}

#[test]
fn the_admins_default() {
    let admin = config(&In::Agent.around("[admin]")).admin.unwrap();
    assert_eq!(admin.listen, "127.0.0.1:9400".parse().unwrap());
}

#[test]
fn a_vips_and_a_backends_defaults() {
    let vip = vip(In::Backend, "");
    assert_eq!(
        vip,
        Vip {
            name: "web".to_owned(),
            address: ip("203.0.113.10"),
            port: 80,
            protocol: Protocol::Tcp,
            forward: Forward::Ipip,
            affinity: Affinity::None,
            scheduler: Scheduler::Maglev,
            drain: Duration::from_secs(300),
            health: Health {
                kind: HealthKind::Tcp { port: 80 },
                via: CheckVia::Direct,
                interval: Duration::from_secs(2),
                fast_interval: Duration::from_millis(500),
                timeout: Duration::from_millis(666),
                rise: 2,
                fall: 3,
            },
            utilization: Utilization::DEFAULT,
            warmup: Warmup::DEFAULT,
            weights: Weights::DEFAULT,
            backends: vec![Backend {
                name: "web-1".to_owned(),
                address: ip("10.0.0.11"),
                weight: Weight::new(100).unwrap(),
                drain: false,
            }],
        }
    );
}

#[test]
fn what_is_checked_by_default() {
    let http = |port, host: &str| HealthKind::Http {
        port,
        path: "/".into(),
        host: host.into(),
        expect: 200..=399,
        body: None,
        tls: None,
    };
    let udp = |port, request: &[u8], expect: &[u8]| HealthKind::Udp {
        port,
        request: request.into(),
        expect: expect.into(),
    };
    for (place, text, expected) in [
        (In::Udp, "", HealthKind::None),
        (In::UdpHealth, "", HealthKind::None),
        (In::UdpHealth, "kind = \"tcp\"\nport = 53", HealthKind::Tcp { port: 53 }),
        (In::Health, "port = 8080", HealthKind::Tcp { port: 8080 }),
        (In::Health, "kind = \"none\"", HealthKind::None),
        (In::Health, "kind = \"http\"", http(80, "203.0.113.10")),
        (In::Health, "kind = \"http\"\nport = 81", http(81, "203.0.113.10")),
        (In::Vip, "port = 8080\n[vip.health]\nkind = \"http\"", http(8080, "203.0.113.10:8080")),
        (In::Vip, "port = 0\n[vip.health]\nkind = \"http\"\nport = 8080", http(8080, "203.0.113.10")),
        (In::Vip, "address = \"2001:db8::1\"\n[vip.health]\nkind = \"http\"", http(80, "[2001:db8::1]")),
        (In::Health, "kind = \"icmp\"", HealthKind::Icmp),
        (In::UdpHealth, "kind = \"udp\"", udp(80, b"", b"")),
        (In::UdpHealth, "kind = \"udp\"\nport = 53", udp(53, b"", b"")),
        (In::Health, "kind = \"udp\"\nport = 53", udp(53, b"", b"")),
    ] {
        assert_eq!(vip(place, text).health.kind, expected, "{text}");
    }
}

#[test]
fn whose_certificate_is_expected() {
    // Above and in [vip.health]; host, name and whether it is verified.
    for (vips, text, expected_host, name, verified) in [
        ("port = 443", "host = \"web.example\"", "web.example", "web.example", true),
        ("port = 443", "host = \"web.example:8443\"", "web.example:8443", "web.example", true),
        ("port = 443", "host = \"[2001:db8::1]:8443\"", "[2001:db8::1]:8443", "2001:db8::1", true),
        ("port = 443", "server_name = \"web.example\"", "203.0.113.10", "web.example", true),
        ("port = 443", "server_name = \"10.0.0.11\"", "203.0.113.10", "10.0.0.11", true),
        ("port = 8443", "server_name = \"a\"", "203.0.113.10:8443", "a", true),
        ("port = 80", "verify = false", "203.0.113.10:80", "203.0.113.10", false),
        ("port = 443", "host = \"a\"\nserver_name = \"b\"\nverify = false", "a", "b", false),
    ] {
        let text = format!("{vips}\n[vip.health]\nkind = \"https\"\n{text}");
        let HealthKind::Http { host, tls: Some(tls), .. } = vip(In::Vip, &text).health.kind else {
            panic!("{text}");
        };
        let got = (host.as_str(), tls.server_name.as_str(), tls.verify);
        assert_eq!(got, (expected_host, name, verified), "{text}");
        assert_eq!(tls.ca, None);
    }
}

#[test]
fn a_ca_is_read_with_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let certificate = || rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem();
    let pem = format!("# two\n{}{}", certificate(), certificate());
    std::fs::write(&path, &pem).unwrap();
    let text = format!("kind = \"https\"\nhost = \"a\"\nca = {:?}", path.to_str().unwrap());
    match vip(In::Health, &text).health.kind {
        HealthKind::Http { tls: Some(tls), .. } => assert_eq!(tls.ca.as_deref(), Some(pem.as_bytes())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn checks_in_each_spelling() {
    for (text, request, expect) in [
        ("", &b""[..], &b""[..]),
        ("request = \"ping\\r\\n\"\nanswer = \"pong\"", b"ping\r\n", b"pong"),
        ("request = \"hex:00 01 fF\"\nanswer = \"hex:\"", &[0, 1, 255], b""),
        ("request = \"\u{e9}\"", "\u{e9}".as_bytes(), b""),
    ] {
        let expected = HealthKind::Udp { port: 80, request: request.into(), expect: expect.into() };
        assert_eq!(vip(In::UdpHealth, &format!("kind = \"udp\"\n{text}")).health.kind, expected, "{text}");
    }
    match vip(In::Health, "kind = \"http\"\nbody = \"\\\"ok\\\"\"").health.kind {
        HealthKind::Http { body, .. } => assert_eq!(body.as_deref(), Some("\"ok\"")),
        other => panic!("{other:?}"),
    }
    for (place, text, via) in [
        (In::Health, "via = \"direct\"", CheckVia::Direct),
        (In::Health, "via = \"data-path\"", CheckVia::DataPath),
        (In::Health, "kind = \"http\"\nvia = \"data-path\"\nport = 8080", CheckVia::DataPath),
        (In::UdpHealth, "kind = \"udp\"\nvia = \"data-path\"", CheckVia::DataPath),
    ] {
        assert_eq!(vip(place, text).health.via, via, "{text}");
    }
}

#[test]
fn when_it_is_checked_by_default() {
    // Interval, fall; fast interval and timeout in milliseconds.
    for (interval, fall, fast_interval, timeout) in [
        ("2s", 3, 500, 666),
        ("100ms", 3, 50, 100),
        ("400ms", 3, 100, 133),
        ("1m", 3, 15_000, 1_000),
        ("3s", 1, 1_500, 1_000),
        ("2s", 9, 200, 222),
        ("2s", 100, 50, 100),
    ] {
        let health = vip(In::Health, &format!("interval = \"{interval}\"\nfall = {fall}")).health;
        assert_eq!(health.fast_interval, Duration::from_millis(fast_interval), "{interval}, {fall}");
        assert_eq!(health.timeout, Duration::from_millis(timeout), "{interval}, {fall}");
    }
}

#[test]
fn by_default_a_silent_backend_is_down_within_an_interval() {
    for interval in [500, 1_000, 2_000, 3_000, 10_000, 60_000, 3_600_000] {
        for fall in 1..=4 {
            let text = format!("interval = \"{interval}ms\"\nfall = {fall}");
            let health = vip(In::Health, &text).health;
            assert!(health.silent_time() <= health.interval, "{text}: {:?}", health.silent_time());
        }
    }
}

#[test]
fn status_codes_in_each_spelling() {
    for (text, expected) in [("204", 204..=204), ("\"204\"", 204..=204), ("\"200-299\"", 200..=299)] {
        match vip(In::Health, &format!("kind = \"http\"\nexpect = {text}")).health.kind {
            HealthKind::Http { expect, .. } => assert_eq!(expect, expected, "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn seeds_in_each_spelling() {
    for (text, expected) in [
        ("0", 0),
        ("7", 7),
        ("0xff", 255),
        ("18446744073709551615", u64::MAX),
        ("\"0xffffffffffffffff\"", u64::MAX),
        ("\"0xC0FFEE\"", 0xc0_ffee),
    ] {
        assert_eq!(
            config(&In::Agent.around(&format!("hash_seed = {text}"))).agent.hash_seed,
            expected,
            "{text}"
        );
    }
}

#[test]
fn bounds_are_included() {
    for text in [
        "max_vips = 65536\nmax_backends = 32767\ntable_size = 251\nflow_entries = 1024\nflow_idle = \"10s\"",
        "max_vips = 1\nmax_backends = 1\nflow_entries = 67_108_864\nflow_idle = \"8h\"\nflow_insert_limit = 0",
        "interfaces = [\"abcdefghijklmno\", \"eth0.100\", \"wlan-ü\"]",
        "icmp_limit = 0\ntunnel_source_v4 = \"192.0.2.1/32\"\ntunnel_source_v6 = \"2001:db8::1/128\"",
    ] {
        config(&In::Agent.around(text));
    }
    for text in ["drain = \"1s\"", "drain = \"1h\"", "port = 65535", "name = \"9.A_b-c\""] {
        vip(In::Vip, text);
    }
    let longest =
        format!("{AGENT}flow_idle = \"8h\"\n{}", In::Vip.around("drain = \"8h\"").replace(AGENT, ""));
    config(&longest);
    for text in
        ["interval = \"100ms\"\nfast_interval = \"100ms\"\ntimeout = \"100ms\"", "rise = 1\nfall = 100"]
    {
        vip(In::Health, text);
    }
    for (text, expected) in [("weight = 0", 0), ("weight = 65535", 65_535)] {
        assert_eq!(vip(In::Backend, text).backends[0].weight.get(), expected);
    }
}

#[test]
fn what_may_look_wrong() {
    for (description, place, text) in [
        ("a VIP without backends", In::Vip, ""),
        ("all weights 0", In::Backend, "weight = 0"),
        ("all draining", In::Backend, "drain = true"),
        (
            "any port beside one port",
            In::Vip,
            "[[vip]]\nname = \"any\"\naddress = \"203.0.113.10\"\nport = 0\nforward = \"ipip\"\nhealth = { port = 1 }",
        ),
        (
            "UDP beside TCP",
            In::Vip,
            "[[vip]]\nname = \"udp\"\naddress = \"203.0.113.10\"\nport = 80\nprotocol = \"udp\"\nforward = \"ipip\"",
        ),
        (
            "one server behind two VIPs",
            In::Backend,
            "[[vip]]\nname = \"b\"\naddress = \"203.0.113.11\"\nport = 80\nforward = \"l2\"\n\
             backend = [{ name = \"web-1\", address = \"10.0.0.11\" }]",
        ),
        ("a backend of the other family in a tunnel", In::Backend, "address = \"2001:db8::11\""),
        ("Windows line ends", In::Vip, "drain = \"1m\"\r\nscheduler = \"maglev\"\r\n"),
    ] {
        let text = place.around(text);
        if let Err(errors) = Config::from_toml(&text, Path::new("lb.toml")) {
            panic!("{description}: {errors}");
        }
    }
    // Not tunnelled, so the tunnels' source does not matter.
    let l2 = In::Vip.around("forward = \"l2\"\n[[vip.backend]]\nname = \"web-1\"\naddress = \"172.16.0.11\"");
    config(&l2);
}

#[test]
fn notes_name_what_is_perhaps_not_meant() {
    for (place, text, expected) in [
        (In::Agent, "", vec!["no [[vip]]: nothing is balanced"]),
        (In::Vip, "", vec!["vip \"web\": no [[vip.backend]]: its packets are dropped and counted"]),
        (In::Backend, "", vec![]),
        (
            In::Backend,
            "weight = 0",
            vec!["vip \"web\": every backend has weight 0 or drains: it takes no new connections"],
        ),
        (
            In::Backend,
            "[vip.health]\nkind = \"none\"",
            vec!["vip \"web\": backends are not checked: a dead one keeps its share"],
        ),
        (
            In::Backend,
            "[vip.health]\ntimeout = \"1s\"",
            vec![
                "vip \"web\": a backend that falls silent is noticed after up to 5s 200ms, as fall = 3 checks take 3s \
                 of health.interval = 2s: lower health.timeout, health.fast_interval or health.fall to notice sooner",
            ],
        ),
        (In::Backend, "[vip.health]\ntimeout = \"1s\"\ninterval = \"3s\"", vec![]),
    ] {
        assert_eq!(config(&place.around(text)).notes(), expected, "{text}");
    }
    let text = In::Backend.around("[[vip.backend]]\nname = \"b\"\naddress = \"10.0.0.12\"\n[[vip.backend]]\nname = \"c\"\naddress = \"10.0.0.13\"");
    let text = text.replacen("[agent]", "[agent]\ntable_size = 251\nmax_backends = 3", 1);
    let notes = config(&text).notes();
    assert!(notes[0].starts_with("vip \"web\": 3 backends share 251 slots"), "{notes:?}");
    assert!(notes[1].starts_with("3 backends in room for 3"), "{notes:?}");
}

#[test]
fn a_backends_own_defaults() {
    let decap = DecapConfig::from_toml(DECAP, Path::new("decap.toml")).unwrap();
    assert_eq!(decap.interfaces, ["eth0"]);
    assert_eq!(decap.xdp_mode, XdpMode::Auto);
    assert_eq!(decap.pin_dir, PathBuf::from("/sys/fs/bpf/xdp-lb-decap"));
    assert_eq!(decap.addresses, [ip("10.0.0.11")]);
    assert_eq!(decap.sources, ["172.16.0.0/16".parse().unwrap(), "100::/64".parse().unwrap()]);
    let text = In::Decap.around("sources = [\"10.0.0.1/32\", \"0.0.0.0/0\"]");
    assert_eq!(DecapConfig::from_toml(&text, Path::new("decap.toml")).unwrap().sources.len(), 2);
}
