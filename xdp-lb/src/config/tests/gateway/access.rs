//! `[route.access]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("lists that are none", At::Route, r#"access = { allow = ["10.0.0.1"], deny = "10.0.0.0/8", any_of = ["tt"], external = "t", verifier = "t" }"#, &[
        r#"gateway.toml:13: route[0] "r": access.verifier = "t": unknown key: write any_of = ["…"]"#,
        r#"gateway.toml:13: route[0] "r": access.allow[0] = "10.0.0.1": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64": write "10.0.0.1/32" for this one address"#,
        r#"gateway.toml:13: route[0] "r": access.deny = "10.0.0.0/8": expected a list of up to 1024 prefixes, as ["10.0.0.0/8"]: write ["10.0.0.0/8"]"#,
        r#"gateway.toml:13: route[0] "r": access.any_of[0] = "tt": expected the name of a [[verifier]]: there is none of this name"#,
        r#"gateway.toml:13: route[0] "r": access.external = "t": is no service that can be asked, which [verifier.external] is: write it in access.any_of"#,
    ]),
    ("a verifier twice", At::Route, r#"access = { any_of = ["t", "t"] }"#, &[
        r#"gateway.toml:13: route[0] "r": access.any_of[1] = "t": named in line 13 already: name each once"#,
    ]),
    ("a service among the verifiers", At::Route, r#"access = { any_of = ["v"] }
[[verifier]]
name = "v"
external = { pool = "p" }"#, &[
        r#"gateway.toml:13: route[0] "r": access.any_of[0] = "v": is a service that is asked in addition to these: write it as access.external"#,
    ]),
    ("claims of nobody", At::Route, "access = { claims = { sub = true } }", &[
        r#"gateway.toml:13: route[0] "r": access.claims: has no effect without access.any_of: name a verifier of tokens there, or remove this"#,
    ]),
    ("claims of a user with password", At::Route, r#"access = { any_of = ["t", "v"], claims = { sub = true } }
[[verifier]]
name = "v"
basic = { file = "/u" }"#, &[
        r#"gateway.toml:13: route[0] "r": access.claims: is refused to whoever comes by a verifier in access.any_of that has no claims: name verifiers of tokens only, or remove this"#,
    ]),
    ("a key of the route under its access", At::Route, r#"access = { rate_limits = ["a"], timeout = "1s" }"#, &[
        r#"gateway.toml:13: route[0] "r": access.rate_limits = ["a"]: belongs to [[route]]: move it above [route.access]"#,
        r#"gateway.toml:13: route[0] "r": access.timeout = "1s": belongs to [[route]]: move it above [route.access]"#,
    ]),
];
