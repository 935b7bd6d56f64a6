use super::super::testing;
use super::*;

const TRUSTED: &[&str] = &["10.0.0.0/8", "2001:db8:1::/48"];

#[test]
fn the_client_is_the_first_that_is_not_trusted() {
    let (x, standard) = (Forwarded::X, Forwarded::Standard);
    let x_for = "x-forwarded-for";
    for (mode, peer, headers, client_is, scheme) in [
        (x, "198.51.100.7", &[][..], "198.51.100.7", Scheme::Http),
        (
            x,
            "198.51.100.7",
            &[(x_for, "203.0.113.9"), ("x-forwarded-proto", "https")],
            "198.51.100.7",
            Scheme::Http,
        ),
        (x, "::ffff:10.0.0.1", &[(x_for, "203.0.113.9")], "203.0.113.9", Scheme::Http),
        (
            x,
            "10.0.0.1",
            &[(x_for, "203.0.113.9"), ("x-forwarded-proto", "https")],
            "203.0.113.9",
            Scheme::Https,
        ),
        (x, "10.0.0.1", &[(x_for, "1.1.1.1, 203.0.113.9,10.0.0.2")], "203.0.113.9", Scheme::Http),
        (
            x,
            "10.0.0.1",
            &[(x_for, "1.1.1.1"), (x_for, "203.0.113.9"), (x_for, "10.0.0.2")],
            "203.0.113.9",
            Scheme::Http,
        ),
        (x, "10.0.0.1", &[(x_for, "10.0.0.3, 10.0.0.2")], "10.0.0.3", Scheme::Http),
        (x, "10.0.0.1", &[(x_for, "1.1.1.1, unknown, 10.0.0.2")], "10.0.0.2", Scheme::Http),
        (x, "10.0.0.1", &[(x_for, "evil"), ("x-forwarded-proto", "gopher")], "10.0.0.1", Scheme::Http),
        (x, "10.0.0.1", &[(x_for, "ü")], "10.0.0.1", Scheme::Http),
        (x, "10.0.0.1", &[(x_for, "203.0.113.9:1234")], "203.0.113.9", Scheme::Http),
        (x, "2001:db8:1::1", &[(x_for, "[2001:db8::9]:1234")], "2001:db8::9", Scheme::Http),
        (x, "10.0.0.1", &[(x_for, "2001:db8::9")], "2001:db8::9", Scheme::Http),
        (x, "10.0.0.1", &[("x-forwarded-proto", "https, http")], "10.0.0.1", Scheme::Http),
        (x, "10.0.0.1", &[("forwarded", "for=203.0.113.9")], "10.0.0.1", Scheme::Http),
        (standard, "10.0.0.1", &[(x_for, "203.0.113.9")], "10.0.0.1", Scheme::Http),
        (
            standard,
            "10.0.0.1",
            &[(
                "forwarded",
                "for=1.1.1.1, FOR=\"[2001:db8::9]:80\";proto=https;host=\"a,;\\\"b\" , for=10.0.0.2",
            )],
            "2001:db8::9",
            Scheme::Https,
        ),
        (standard, "10.0.0.1", &[("forwarded", "for=1.1.1.1, for=_hidden")], "10.0.0.1", Scheme::Http),
        (standard, "10.0.0.1", &[("forwarded", "for=1.1.1.1, for=\"unterminated")], "10.0.0.1", Scheme::Http),
        (standard, "10.0.0.1", &[("forwarded", "for=1.1.1.1, proto=https")], "10.0.0.1", Scheme::Http),
        (
            Forwarded::Both,
            "10.0.0.1",
            &[(x_for, "203.0.113.9"), ("forwarded", "for=1.1.1.1")],
            "203.0.113.9",
            Scheme::Http,
        ),
        (Forwarded::Off, "10.0.0.1", &[("forwarded", "for=1.1.1.1")], "1.1.1.1", Scheme::Http),
    ] {
        let gateway = testing::gateway(TRUSTED, mode);
        let head = testing::head("GET", "/", headers);
        let found = client(&gateway, &testing::peer(peer, false), &head.headers);
        assert_eq!(found, (client_is.parse().unwrap(), scheme), "{mode:?} {peer} {headers:?}");
    }
    let none = HeaderMap::new();
    let gateway = testing::gateway(TRUSTED, x);
    assert_eq!(client(&gateway, &testing::peer("192.0.2.1", true), &none).1, Scheme::Https);
}

#[test]
fn the_server_is_told_what_is_known() {
    let (x_for, x_host, x_proto) = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto");
    let spoofed = &[
        ("host", "shop.test:8080"),
        (x_for, "1.1.1.1"),
        (x_for, "2.2.2.2"),
        (x_host, "evil.test"),
        (x_proto, "http"),
        ("forwarded", "for=1.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
        ("x_real_ip", "1.1.1.1"),
        ("x_forwarded_for", "1.1.1.1"),
        ("x-forwarded_for", "1.1.1.1"),
        ("x_forwarded-proto", "https"),
        ("true_client_ip", "1.1.1.1"),
        ("x-original-url", "/admin"),
        ("x_rewrite_url", "/admin"),
        ("x-client-ip", "1.1.1.1"),
        ("x-forwarded-port", "1"),
        ("accept", "*/*"),
    ][..];
    for (mode, peer, headers, expected) in [
        (
            Forwarded::X,
            "198.51.100.7",
            spoofed,
            &[(x_for, "198.51.100.7"), (x_proto, "https"), (x_host, "shop.test:8080")][..],
        ),
        (
            Forwarded::X,
            "10.0.0.1",
            spoofed,
            &[(x_for, "1.1.1.1, 2.2.2.2, 10.0.0.1"), (x_host, "evil.test"), (x_proto, "http")],
        ),
        (
            Forwarded::Standard,
            "198.51.100.7",
            spoofed,
            &[("forwarded", "for=198.51.100.7;host=\"shop.test:8080\";proto=https")],
        ),
        (
            Forwarded::Standard,
            "2001:db8:1::1",
            spoofed,
            &[("forwarded", "for=1.1.1.1, for=\"[2001:db8:1::1]\";host=\"shop.test:8080\";proto=https")],
        ),
        (
            Forwarded::Standard,
            "198.51.100.7",
            &[("host", "shop.test")],
            &[("forwarded", "for=198.51.100.7;host=shop.test;proto=https")],
        ),
        (
            Forwarded::Both,
            "::ffff:198.51.100.7",
            &[("host", "a\"b\\")],
            &[
                (x_for, "198.51.100.7"),
                (x_proto, "https"),
                (x_host, "a\"b\\"),
                ("forwarded", "for=198.51.100.7;host=\"a\\\"b\\\\\";proto=https"),
            ],
        ),
        (Forwarded::Off, "10.0.0.1", spoofed, &[]),
        (Forwarded::Off, "198.51.100.7", spoofed, &[]),
    ] {
        let gateway = testing::gateway(TRUSTED, mode);
        let mut head = testing::head("GET", "/", headers);
        let mut exchange = testing::exchange("GET", "shop.test", "/");
        exchange.peer = std::sync::Arc::new(testing::peer(peer, true));
        apply(&gateway, &exchange, &mut head);
        let kept = |name: &str| !matches!(name, "host" | "accept");
        let mut told: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        told.retain(|(name, _)| kept(name));
        told.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(told, expected, "{mode:?} {peer}");
    }
    let mut head = testing::head("GET", "http://shop.test/", &[]);
    apply(&testing::gateway(&[], Forwarded::X), &testing::exchange("GET", "shop.test", "/"), &mut head);
    assert_eq!(head.headers[x_host], "shop.test");
}
