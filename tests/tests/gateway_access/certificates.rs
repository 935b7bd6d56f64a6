//! Clients that are known by their certificates.

use super::*;

#[test]
fn clients_are_known_by_their_certificates() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let _server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let site = ours.issue(&["api.test"], Valid::Now).unwrap();
    gateway.write("ca.pem", ours.pem()).unwrap();
    for (name, issued) in [
        ("site", site),
        ("billing", ours.issue(&["billing.jobs.test"], Valid::Now).unwrap()),
        ("other", ours.issue(&["other.test"], Valid::Now).unwrap()),
        ("former", ours.issue(&["billing.jobs.test"], Valid::Formerly).unwrap()),
        ("forged", theirs.issue(&["billing.jobs.test"], Valid::Now).unwrap()),
    ] {
        gateway.write(&format!("{name}.pem"), issued.certificate).unwrap();
        gateway.write(&format!("{name}.key"), issued.key).unwrap();
    }
    let config = format!(
        "{COMMON}{}",
        r#"
[[listener]]
name = "tls"
address = "127.0.0.1:8443"
[listener.tls]
certificates = [{ certificate = "{folder}/site.pem", key = "{folder}/site.key" }]
client_auth = "optional"
client_ca = "{folder}/ca.pem"
[[verifier]]
name = "machines"
pass = { x-user = "subject" }
certificate = { subjects = ["*.jobs.test"] }
[[route]]
name = "machines"
prefix = "/machines"
pool = "api"
access = { any_of = ["machines"] }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let folder = gateway.folder().to_owned();
    let curl = |certificate: Option<&str>, path: &str| {
        let mut command = netns.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}"]);
        command.args(["--resolve", "api.test:8443:127.0.0.1", "--header", "X-User: root"]);
        command.arg("--cacert").arg(folder.join("ca.pem"));
        if let Some(name) = certificate {
            command.arg("--cert").arg(folder.join(format!("{name}.pem")));
            command.arg("--key").arg(folder.join(format!("{name}.key")));
        }
        let output = command.arg(format!("https://api.test:8443{path}")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    };
    let (status, body) = curl(Some("billing"), "/machines");
    assert_eq!((&*status, &body["headers"]["x-user"]), ("200", &json!("billing.jobs.test")), "{body}");
    for (certificate, path, status) in [
        (None, "/machines", "403"),
        (Some("other"), "/machines", "403"),
        (None, "/", "200"),
        // What is not valid is not taken for none.
        (Some("former"), "/", "000"),
        (Some("forged"), "/", "000"),
        (Some("forged"), "/machines", "000"),
    ] {
        let (seen, body) = curl(certificate, path);
        assert_eq!(seen, status, "{certificate:?} {path} {body}");
        assert!(body["headers"].get("x-user").is_none(), "{body}");
    }
    let plain = get(&netns, "/machines", &[]);
    assert_eq!(plain.status, 403, "there is no certificate without TLS");
}

#[test]
fn a_certificate_that_expires_is_taken_no_more() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let _server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let ours = Authority::new("ours").unwrap();
    let site = ours.issue(&["api.test"], Valid::Now).unwrap();
    gateway.write("ca.pem", ours.pem()).unwrap();
    gateway.write("site.pem", site.certificate).unwrap();
    gateway.write("site.key", site.key).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[listener]]
name = "tls"
address = "127.0.0.1:8443"
[listener.tls]
certificates = [{ certificate = "{folder}/site.pem", key = "{folder}/site.key" }]
client_auth = "required"
client_ca = "{folder}/ca.pem"
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let brief = ours.issue(&["billing.jobs.test"], Valid::For(5)).unwrap();
    gateway.write("brief.pem", brief.certificate).unwrap();
    gateway.write("brief.key", brief.key).unwrap();
    // One connection, and a request on it each half second.
    let mut command = netns.command("curl");
    command.args(["--silent", "--http1.1", "--max-time", "30", "--rate", "2/s", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code} %{num_connects}\n"]);
    command.args(["--resolve", "api.test:8443:127.0.0.1", "https://api.test:8443/[1-30]"]);
    for (flag, file) in [("--cacert", "ca.pem"), ("--cert", "brief.pem"), ("--key", "brief.key")] {
        command.arg(flag).arg(gateway.folder().join(file));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let seen: Vec<_> = text.lines().collect();
    assert_eq!(seen[..2], ["200 1", "200 0"], "{text}");
    let end = seen.iter().position(|line| *line != "200 0" && *line != "200 1").expect("it expires");
    assert_eq!(seen[end], "403 0", "{text}");
    assert!(seen[end + 1..].iter().all(|line| line.starts_with("000")), "nor is it at a handshake: {text}");
}
