//! Addresses and rates.

use super::*;

#[test]
fn addresses_and_rates_are_limited() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let _server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[rate_limit]]
name = "by-address"
key = "address"
rate = "3/h"
[[rate_limit]]
name = "by-header"
key = "header:x-tenant"
rate = "2/h"
[[route]]
name = "near"
prefix = "/near"
pool = "api"
access = { allow = ["192.0.2.0/24", "2001:db8::/32"], deny = ["192.0.2.66/32"] }
[[route]]
name = "limited"
prefix = "/limited"
pool = "api"
rate_limits = ["by-address"]
[[route]]
name = "tenants"
prefix = "/tenants"
pool = "api"
rate_limits = ["by-header"]
"#
    );
    gateway.start(&config).unwrap();
    for (client, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.66", 403),
        ("198.51.100.1", 403),
        ("2001:db8::1", 200),
        ("::ffff:192.0.2.66", 403),
        // The address that the proxy adds counts, not those that its client made up.
        ("192.0.2.1, 198.51.100.1", 403),
        ("nonsense", 403),
    ] {
        let seen = get(&netns, "/near", &[&format!("X-Forwarded-For: {client}")]);
        assert_eq!(seen.status, status, "{client} {seen:?}");
    }
    let from = |client: &str| get(&netns, "/limited", &[&format!("X-Forwarded-For: {client}")]);
    // All addresses of a /64 are one client's.
    for (place, remaining) in [(1, "2"), (2, "1"), (3, "0")] {
        let seen = from(&format!("2001:db8:0:1::{place}"));
        assert_eq!((seen.status, seen.header("ratelimit-remaining")), (200, remaining), "{seen:?}");
        assert_eq!(
            (seen.header("ratelimit-limit"), seen.header("ratelimit-policy")),
            ("3", "3;w=3600;burst=3")
        );
    }
    let refused = from("2001:db8:0:1:ffff::1");
    assert_eq!((refused.status, refused.reason()), (429, "rate_limited"), "{refused:?}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=1200).contains(&wait) && refused.header("ratelimit-remaining") == "0", "{refused:?}");
    assert_eq!(from("2001:db8:0:2::1").status, 200);
    // A reload forgets nothing.
    gateway.reload(&config.replace("drain = \"1s\"", "drain = \"2s\"")).unwrap();
    assert_eq!(from("2001:db8:0:1::1").status, 429);
    for (tenant, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200), ("A", 200)] {
        assert_eq!(get(&netns, "/tenants", &[&format!("X-TENANT: {tenant}")]).status, status, "{tenant}");
    }
}
