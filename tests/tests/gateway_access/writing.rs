//! Other ways of writing a request for a closed route.

use super::secrets::key_line;
use super::*;

#[test]
fn no_way_of_writing_a_request_leads_around_its_route() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("keys", key_line("ops", "0123456789abcdef")).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "keys"
api_key = { file = "{folder}/keys" }
[[route]]
name = "admin"
prefix = "/admin"
pool = "api"
access = { any_of = ["keys"] }
cors = { origins = ["https://www.test"] }
[[route]]
name = "files"
path = "/files/{*all}"
pool = "api"
access = { any_of = ["keys"] }
[[route]]
name = "inner"
hosts = ["inner.test"]
pool = "api"
access = { any_of = ["keys"] }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let guarded = |head: &[&str]| {
        let seen = ask(&netns, head, "");
        assert!((400..500).contains(&seen.status), "{head:?} {seen:?}");
        let asked = server.take_asked();
        assert!(asked.is_empty(), "{head:?} reached the server: {asked:?}");
    };
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/admin/%78",
        "/%61dmin/x",
        "/./admin/x",
        "/x/../admin/x",
        "//admin/x",
        "/x/..;/admin/x",
        "/x/%2e%2e/admin/x",
        "/admin;v=1/x",
        "/admin%3Bv/x",
        "/admin;/x",
        "/;/admin/x",
        "/x/..%3b/admin",
        "/files%2fx",
        "/admin%2fx",
        "/admin%5cx",
        "/x\\..\\admin",
        "/files/x%ff",
        "/files/a;b/%C3%28",
        "http://open.test/admin/x",
        "HTTP://open.test/admin",
        "/admin?x=/../",
        "/admin#x",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"] {
            guarded(&[&format!("{method} {path} HTTP/1.1"), "Host: open.test"]);
        }
    }
    for host in ["inner.test", "INNER.test", "inner.test.", "inner.test:8080", "Inner.Test.:1"] {
        guarded(&["GET / HTTP/1.1", &format!("Host: {host}")]);
        guarded(&[&format!("GET http://{host}/ HTTP/1.1"), &format!("Host: {host}")]);
    }
    guarded(&["GET http://inner.test/ HTTP/1.1", "Host: open.test"]);
    guarded(&["GET http://open.test@inner.test/ HTTP/1.1", "Host: open.test@inner.test"]);
    // An upgrade and a preflight are requests like others.
    guarded(&["GET /admin HTTP/1.1", "Host: open.test", "Upgrade: websocket", "Connection: upgrade"]);
    let preflight = ["Origin: https://www.test", "Access-Control-Request-Method: GET"];
    let answered = ask(&netns, &[&["OPTIONS /admin HTTP/1.1"], &preflight[..]].concat(), "");
    assert_eq!((answered.status, answered.header("access-control-allow-methods")), (204, "GET, HEAD, POST"));
    guarded(&[&["OPTIONS /files/x HTTP/1.1"], &preflight[..]].concat());
    assert!(server.take_asked().is_empty(), "a preflight is answered by the gateway");
    let key = "X-API-Key: 0123456789abcdef";
    assert_eq!(get(&netns, "/admin/x;v=1", &[key]).status, 200);
    assert_eq!(get(&netns, "/files/x%ff", &[key]).body["path"], "/files/x%ff");
    // Nor do headers of other proxies, whatever they are written like.
    let told = get(
        &netns,
        "/admin",
        &[key, "X_Forwarded_For: 1.1.1.1", "X-Original-URL: /x", "X_Real_IP: 1.1.1.1", "X-Rewrite_URL: /x"],
    );
    let names: Vec<_> = told.body["headers"].as_object().unwrap().keys().map(String::as_str).collect();
    let sent =
        ["host", "x-api-key", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
    assert_eq!(names, sent, "{told:?}");
}

#[test]
fn no_header_asks_for_a_method_that_is_refused() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("orders.yaml", super::contract::DOCUMENT).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[openapi]]
name = "orders"
path = "{folder}/orders.yaml"
[[route]]
name = "posts"
prefix = "/posts"
methods = ["POST"]
pool = "api"
[[route]]
name = "tunnel"
prefix = "/tunnel"
methods = ["POST"]
method_override = "pass"
pool = "api"
[[route]]
name = "orders"
prefix = "/orders"
pool = "api"
openapi = { document = "orders" }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let delete = "X-HTTP-Method-Override: DELETE";
    for (line, header, status) in [
        ("POST /posts", delete, 400),
        ("POST /posts", "X_Method-Override: delete", 400),
        ("POST /posts", "X-HTTP-Method-Override: POST", 200),
        ("PUT /orders/1", delete, 400),
        ("POST /tunnel", delete, 200),
        ("POST /any", delete, 200),
    ] {
        let seen = ask(&netns, &[&format!("{line} HTTP/1.1"), header], "");
        assert_eq!(seen.status, status, "{line} {header}: {seen:?}");
        if status == 400 {
            assert_eq!(seen.reason(), "method_override", "{line} {header}: {seen:?}");
        }
        assert_eq!(server.take_asked().len(), usize::from(status == 200), "{line} {header}");
    }
}

#[test]
fn a_path_that_is_let_pass_is_no_other_routes() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("keys", key_line("ops", "0123456789abcdef")).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[gateway.paths]
encoded_slash = "pass"
empty_segments = "pass"
[[verifier]]
name = "keys"
api_key = { file = "{folder}/keys" }
[[route]]
name = "admin"
prefix = "/admin"
pool = "api"
access = { any_of = ["keys"] }
[[route]]
name = "projects"
path = "/projects/{id}"
pool = "api"
[[route]]
name = "open"
prefix = "/open"
pool = "api"
[[route]]
name = "moved"
path = "/moved/{id}"
pool = "api"
request = { path = "/projects/{param:id}" }
[[route]]
name = "rest"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let sees = |path: &str, status: u16| {
        let seen = get(&netns, path, &[]);
        assert_eq!(seen.status, status, "{path}: {seen:?}");
        let asked: Vec<_> = server.take_asked().iter().map(|asked| asked.target.path().to_owned()).collect();
        assert_eq!(asked, if status == 200 { vec![path.to_owned()] } else { Vec::new() }, "{path}");
    };
    for path in ["/open/a%2Fb", "/open//a", "/open/a%2fb//c", "//", "/a//b"] {
        sees(path, 200);
    }
    for path in [
        "//admin",
        "/%2Fadmin",
        "/open%2F..%2Fadmin",
        "/open/..%2fadmin",
        "//open/../admin",
        "/admin%2Fx",
        "/%61dmin",
        "/;x/admin",
        // To who decodes first it is what another route is for.
        "/projects/a%2Fb",
        "/moved/a%2Fb",
    ] {
        sees(path, 400);
    }
    gateway.reload(&config.replace(r#"empty_segments = "pass""#, r#"empty_segments = "merge""#)).unwrap();
    let merged = get(&netns, "//open///a//?q=//", &[]);
    assert_eq!((merged.status, &merged.body["path"]), (200, &json!("/open/a/")), "{merged:?}");
    assert_eq!(get(&netns, "//admin", &[]).status, 401, "it is the route's that it is sent by");
}
