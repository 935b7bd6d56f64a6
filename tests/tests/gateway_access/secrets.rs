//! Keys and passwords, changed while the gateway runs.

use super::*;

pub(super) fn key_line(name: &str, key: &str) -> String {
    let digest: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {digest}\n")
}

#[test]
fn keys_and_passwords_change_while_it_runs() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let (old, new) = ("0123456789abcdef-old", "0123456789abcdef-new");
    gateway.write("keys", key_line("billing", old)).unwrap();
    let hash = |user: &str, password: &str| {
        let mut child = std::process::Command::new(xdp_lb_tests::agent::binary().unwrap())
            .args(["hash-secret", "--kind", "password", user])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    gateway.write("users", hash("alice", "first one")).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "keys"
pass = { x-user = "subject", x-by = "verifier" }
api_key = { file = "{folder}/keys" }
[[verifier]]
name = "staff"
pass = { x-user = "subject", x-by = "verifier" }
basic = { realm = "staff", file = "{folder}/users" }
[[route]]
name = "either"
pool = "api"
access = { any_of = ["keys", "staff"] }
"#
    );
    gateway.start(&config).unwrap();
    let key = |key: &str| format!("X-API-Key: {key}");
    let basic = |user: &str, password: &str| {
        format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let nobody = get(&netns, "/", &[]);
    assert_eq!(nobody.status, 401);
    let text = format!("{:?}", nobody.headers);
    assert!(text.contains("Basic realm") || text.contains("ApiKey"), "{text}");
    for (head, user, by) in [(key(old), "billing", "keys"), (basic("alice", "first one"), "alice", "staff")] {
        let seen = get(&netns, "/", &[&head, "X-User: root"]);
        assert_eq!(seen.status, 200, "{seen:?}");
        assert_eq!(
            (&seen.body["headers"]["x-user"], &seen.body["headers"]["x-by"]),
            (&user.into(), &by.into())
        );
    }
    server.take_asked();
    for head in [
        key(new),
        key(&format!("{old} ")),
        basic("alice", "first"),
        basic("alice", ""),
        basic("bob", "first one"),
        "Authorization: Basic !!!".to_owned(),
        "X_API_Key: 0123456789abcdef-old".to_owned(),
    ] {
        let seen = get(&netns, "/", &[&head]);
        // Blanks around a value are not part of it.
        let known = head.ends_with(' ');
        assert_eq!(seen.status, if known { 200 } else { 401 }, "{head}: {seen:?}");
    }
    server.take_asked();

    gateway.write("keys", key_line("billing", new)).unwrap();
    gateway.write("users", hash("alice", "second one")).unwrap();
    until(&netns, "/", &[&key(new)], 200);
    assert_eq!(get(&netns, "/", &[&key(old)]).status, 401, "a key that was taken back");
    until(&netns, "/", &[&basic("alice", "second one")], 200);
    assert_eq!(get(&netns, "/", &[&basic("alice", "first one")]).status, 401, "remembered past its end");
    // A file that cannot be used changes nothing, and is told of.
    gateway.write("keys", "billing nonsense\n").unwrap();
    wait_until(SOON, "the log tells", || gateway.tail().contains("keys:1").then_some(())).unwrap();
    assert_eq!(get(&netns, "/", &[&key(new)]).status, 200);
    let before = gateway.reloads().unwrap();
    gateway.reload(&config).unwrap();
    assert_eq!(gateway.reloads().unwrap(), (before.0, before.1 + 1.0), "a reload would lose the keys");
    assert_eq!(get(&netns, "/", &[&key(new)]).status, 200);
    let log = std::fs::read_to_string(gateway.folder().join("access.log")).unwrap() + &gateway.tail();
    for secret in [old, new, "first one", &STANDARD.encode("alice:first one")] {
        assert!(!log.contains(secret), "{secret} is in a log");
    }
}
