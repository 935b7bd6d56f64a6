//! What is valid, and perhaps not meant.

use super::{At, config};

#[test]
fn what_is_perhaps_not_meant_is_noted() {
    let mut wrong = String::new();
    for (text, expected) in NOTES {
        let notes = config(&At::Top.around(&format!("[gateway]\nhandover_socket = \"/h\"\n{text}"))).notes();
        if notes != *expected {
            wrong +=
                &format!("--- {text}\n--- notes\n{}\n--- for\n{}\n", notes.join("\n"), expected.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn nothing_at_all_is_noted() {
    assert_eq!(
        config(&At::Top.around("")).notes(),
        [
            "no [[route]]: every request is answered with 404",
            "no gateway.handover_socket: a new process cannot take over the listening sockets, and a restart refuses \
             connections meanwhile"
        ]
    );
}

#[rustfmt::skip]
const NOTES: &[(&str, &[&str])] = &[
    ("[[route]]\nname = \"r\"\nrespond = {}", &[]),
    ("trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n[[route]]\nname = \"r\"\nrespond = {}", &[
        "gateway.trusted_proxies has 0.0.0.0/0: any client may say that it is another, to rate limits and access lists too",
    ]),
    ("[[pool]]\nname = \"a\"\nserver = [{ address = \"10.0.0.1:80\", weight = 0 }]\n[[route]]\nname = \"r\"\npool = \"a\"", &[
        "pool \"a\": every server has weight 0: it answers nothing but 503",
    ]),
    ("[[pool]]\nname = \"a\"\nserver = [{ address = \"10.0.0.1:80\" }]\nretry.tries = 3\n[[route]]\nname = \"r\"\npool = \"a\"", &[
        "pool \"a\": retry.tries has no effect with one server, as none is tried twice",
    ]),
    ("[[pool]]\nname = \"a\"\nserver = [{ address = \"10.0.0.1:80\" }]\ntls.verify = false\n[[route]]\nname = \"r\"\npool = \"a\"", &[
        "pool \"a\": tls.verify = false: whoever answers is taken for the server",
    ]),
    ("[[verifier]]\nname = \"v\"\njwt = { file = \"/k\", algorithms = [\"RS256\"] }\n[[route]]\nname = \"r\"\nrespond = {}\naccess.any_of = [\"v\"]", &[
        "verifier \"v\": no jwt.issuer: a token of anybody whose key is known is taken",
    ]),
    ("[[verifier]]\nname = \"v\"\njwt = { file = \"/k\", algorithms = [\"RS256\"], issuer = \"i\" }\n[[route]]\nname = \"r\"\nrespond = {}\naccess.any_of = [\"v\"]", &[
        "verifier \"v\": no jwt.audience: a token that was made for another service is taken",
    ]),
    ("[[verifier]]\nname = \"v\"\nbasic.file = \"/u\"\n[[route]]\nname = \"r\"\nrespond = {}\naccess.any_of = [\"v\"]", &[
        "verifier \"v\": listener \"l\" has no TLS: passwords are sent as plain text",
    ]),
    ("[[pool]]\nname = \"a\"\ndns = { name = \"a\", port = 1 }\n[[verifier]]\nname = \"v\"\nexternal = { pool = \"a\", fail_open = true }\n[[route]]\nname = \"r\"\nrespond = {}\naccess.external = \"v\"", &[
        "verifier \"v\": external.fail_open: whoever silences the service is let in",
    ]),
    ("[[pool]]\nname = \"a\"\ndns = { name = \"a\", port = 1 }\n[[verifier]]\nname = \"v\"\nbasic.file = \"/u\"\n[[rate_limit]]\nname = \"l\"\nkey = \"route\"\nrate = \"1/s\"\n[[openapi]]\nname = \"d\"\npath = \"/d\"\n[[route]]\nname = \"r\"\nrespond = {}", &[
        "verifier \"v\": listener \"l\" has no TLS: passwords are sent as plain text",
        "pool \"a\" is not used",
        "verifier \"v\" is not used",
        "rate limit \"l\" is not used",
        "openapi \"d\" is not used",
    ]),
    ("[[pool]]\nname = \"a\"\ndns = { name = \"a\", port = 1 }\n[[pool]]\nname = \"b\"\ndns = { name = \"b\", port = 1 }\n[[route]]\nname = \"r\"\npool = \"a\"\nmirror.pool = \"b\"", &[]),
    ("[[rate_limit]]\nname = \"k\"\nkey = \"api-key\"\nrate = \"1/s\"\n[[rate_limit]]\nname = \"c\"\nkey = \"claim:sub\"\nrate = \"1/s\"\n[[route]]\nname = \"r\"\nrespond = {}\nrate_limits = [\"k\", \"c\"]", &[
        "route \"r\": rate limit \"k\" counts by address, as no API key is verified here",
        "route \"r\": rate limit \"c\" counts by address, as no token is verified here",
    ]),
    ("[[openapi]]\nname = \"d\"\npath = \"/d\"\n[[route]]\nname = \"r\"\nrespond = {}\nopenapi = { document = \"d\", responses = \"enforce\" }", &[
        "route \"r\": openapi.responses has no effect, as the gateway answers itself",
    ]),
    // The first takes all that the second is for.
    ("[[route]]\nname = \"r\"\npath = \"/{a}\"\nrespond = {}\n[[route]]\nname = \"s\"\npath = \"/{b}\"\nmethods = [\"GET\"]\nrespond = {}", &[
        "route \"s\": never reached, as route \"r\" before it takes every request for its hosts, path and methods: move it up",
    ]),
    ("[[route]]\nname = \"r\"\nhosts = [\"a\", \"b\"]\nrespond = {}\n[[route]]\nname = \"s\"\nhosts = [\"b\"]\nheader = [{ name = \"x\", present = true }]\nrespond = {}", &[
        "route \"s\": never reached, as route \"r\" before it takes every request for its hosts, path and methods: move it up",
    ]),
    // Each of these leaves something over, or is looked at later.
    ("[[route]]\nname = \"r\"\nmethods = [\"GET\"]\nrespond = {}\n[[route]]\nname = \"s\"\nrespond = {}", &[]),
    ("[[route]]\nname = \"r\"\nrespond = {}\n[[route]]\nname = \"s\"\nhosts = [\"a\"]\nrespond = {}", &[]),
    ("[[route]]\nname = \"r\"\nhosts = [\"a\"]\nrespond = {}\n[[route]]\nname = \"s\"\nhosts = [\"a\", \"b\"]\nrespond = {}", &[]),
    ("[[route]]\nname = \"r\"\nprefix = \"/a\"\nrespond = {}\n[[route]]\nname = \"s\"\npath = \"/a\"\nrespond = {}", &[]),
    ("[[route]]\nname = \"r\"\nquery = [{ name = \"x\", equals = \"1\" }]\nrespond = {}\n[[route]]\nname = \"s\"\nrespond = {}", &[]),
];
