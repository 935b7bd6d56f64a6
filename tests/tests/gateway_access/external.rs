//! A service that decides.

use super::*;

#[test]
fn a_service_decides_while_it_is_there() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "strict"
[verifier.external]
pool = "login"
prefix = "/check"
request_headers = ["cookie"]
response_headers = ["x-roles"]
timeout = "1s"
[[verifier]]
name = "lenient"
external = { pool = "login", response_headers = ["x-roles"], fail_open = true }
[[route]]
name = "strict"
prefix = "/strict"
pool = "api"
access = { external = "strict" }
[[route]]
name = "lenient"
prefix = "/lenient"
pool = "api"
access = { external = "lenient" }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let decide = |asked: &Asked| {
        let answer = Response::builder();
        match asked.header("cookie") {
            "user=ann" => answer.header("x-roles", "reader").header("x-other", "1").body(String::new()),
            "user=down" => answer.status(500).body(String::new()),
            "" => answer.status(401).header("www-authenticate", "Login").body("no".to_owned()),
            _ => answer.status(302).header("location", "https://login.test/").body(String::new()),
        }
        .unwrap()
    };
    let login = Answering::start(netns.handle(), 9002, decide).unwrap();
    let seen = get(&netns, "/strict/a?b=c", &["Cookie: user=ann", "X-Roles: admin", "X_Roles: admin"]);
    let headers = &seen.body["headers"];
    assert_eq!((seen.status, &headers["x-roles"]), (200, &json!("reader")), "{seen:?}");
    assert!(headers.get("x_roles").is_none() && headers.get("x-other").is_none(), "{seen:?}");
    let asked = login.take_asked().pop().unwrap();
    assert_eq!(asked.target.to_string(), "/check/strict/a?b=c");
    assert_eq!(asked.header("x-forwarded-uri"), "/strict/a?b=c");
    assert_eq!(asked.header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(asked.header("x-roles"), "");
    let open = get(&netns, "/", &["X-Roles: admin", "X_Roles: admin"]);
    let names = open.body["headers"].as_object().unwrap();
    assert!(!names.contains_key("x-roles") && !names.contains_key("x_roles"), "{open:?}");

    server.take_asked();
    let refused = get(&netns, "/strict", &[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Login"), "{refused:?}");
    let sent_on = get(&netns, "/strict", &["Cookie: user=eve"]);
    assert_eq!((sent_on.status, sent_on.header("location")), (403, "https://login.test/"), "{sent_on:?}");
    let undecided = get(&netns, "/strict", &["Cookie: user=down"]);
    assert_eq!((undecided.status, undecided.reason()), (503, "verifier_down"), "{undecided:?}");
    drop(login);
    let down = get(&netns, "/strict", &["Cookie: user=ann"]);
    assert_eq!((down.status, down.reason()), (503, "verifier_down"), "{down:?}");
    assert_eq!(server.take_asked().len(), 0, "what is refused reaches no server");
    let lenient = get(&netns, "/lenient", &["X-Roles: admin"]);
    assert_eq!(lenient.status, 200);
    assert!(lenient.body["headers"].get("x-roles").is_none(), "{lenient:?}");
    let _login = Answering::start(netns.handle(), 9002, decide).unwrap();
    until(&netns, "/strict", &["Cookie: user=ann"], 200);
}
