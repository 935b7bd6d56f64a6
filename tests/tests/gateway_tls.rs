//! TLS on either side of the gateway, with curl and nginx as peers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::certs::{Authority, Issued, Valid};
use xdp_lb_tests::curl::{Answer, curl};
use xdp_lb_tests::gateway::{BEGINNING, Gateway, metric};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::tlsserver::{Site, TlsServer};
use xdp_lb_tests::wait::wait_until_ok;

const SOON: Duration = Duration::from_secs(10);

const REST: &str = r#"
[[pool]]
name = "echo"
server = [{ name = "a", address = "127.0.0.1:9001" }]
[[route]]
name = "echo"
pool = "echo"
"#;

struct Bed<'a> {
    netns: &'a Netns,
    gateway: Gateway<'a>,
    _service: Service,
}

impl<'a> Bed<'a> {
    fn new(netns: &'a Netns) -> Self {
        let _service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
        Self { netns, gateway: Gateway::new(netns).unwrap(), _service }
    }

    fn put(&self, name: &str, issued: &Issued) {
        self.gateway.write(&format!("{name}.key"), &issued.key).unwrap();
        self.gateway.write(&format!("{name}.pem"), &issued.certificate).unwrap();
    }

    /// Asks the host `name` for its page, trusting the authority alone.
    fn get(&self, name: &str, authority: &Authority, arguments: &[&str]) -> anyhow::Result<Answer> {
        let ca = self.gateway.write("trusted.pem", authority.pem())?.display().to_string();
        let (to, url) = (format!("{name}:8080:127.0.0.1"), format!("https://{name}:8080/"));
        let mut all = vec!["--cacert", &*ca, "--resolve", &*to];
        all.extend(arguments);
        all.push(&url);
        curl(self.netns, &all)
    }
}

fn pair(name: &str) -> String {
    format!("{{ certificate = \"{{folder}}/{name}.pem\", key = \"{{folder}}/{name}.key\" }}")
}

#[test]
fn names_choose_certificates_which_may_change_while_it_runs() {
    require_root!();
    let netns = Netns::new("tls").unwrap();
    let mut bed = Bed::new(&netns);
    let (one, two) = (Authority::new("one").unwrap(), Authority::new("two").unwrap());
    bed.put("first", &one.issue(&["www.example.com"], Valid::Now).unwrap());
    bed.put("second", &two.issue(&["*.example.org"], Valid::Now).unwrap());
    let tls = format!("tls = {{ certificates = [{}, {}] }}", pair("first"), pair("second"));
    bed.gateway.start(&format!("{BEGINNING}{tls}\n{REST}")).unwrap();
    for (name, authority) in [("www.example.com", &one), ("api.example.org", &two)] {
        for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
            for tls in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
                let answer = bed.get(name, authority, &[option, tls[0], tls[1], tls[2]]).unwrap();
                assert_eq!((answer.version.as_str(), answer.status), (version, 200), "{name} {tls:?}");
                let headers = &answer.json()["headers"];
                assert_eq!(headers["x-forwarded-proto"], "https");
                assert_eq!(headers["x-forwarded-host"], format!("{name}:8080"));
            }
        }
    }
    // A certificate of the other name is none.
    assert!(bed.get("www.example.com", &two, &[]).is_err());
    assert!(bed.get("www.example.com", &one, &["--tlsv1.0", "--tls-max", "1.1"]).is_err());
    // A name that none has gets the first, as all do that say none.
    assert!(bed.get("other.example.net", &one, &["--insecure"]).is_ok());
    let page = bed.gateway.metrics().unwrap();
    assert!(metric(&page, "xdp_lb_gateway_connections_handshakes_failed_total").unwrap() >= 2.0);

    let renewed = Authority::new("renewed").unwrap();
    // One file at a time: in between they do not belong together, and what was read before stays.
    bed.put("first", &renewed.issue(&["www.example.com"], Valid::Now).unwrap());
    wait_until_ok(SOON, "the new certificate is shown", || bed.get("www.example.com", &renewed, &[]))
        .unwrap();
    bed.get("api.example.org", &two, &[]).unwrap();
    bed.gateway.write("second.pem", "no certificate").unwrap();
    let complains = || {
        anyhow::ensure!(bed.gateway.tail().contains("second.pem"), "{}", bed.gateway.tail());
        Ok(())
    };
    wait_until_ok(SOON, "what is wrong is told", complains).unwrap();
    bed.get("api.example.org", &two, &[]).unwrap();
}

#[test]
fn clients_show_certificates_too() {
    require_root!();
    let netns = Netns::new("tls").unwrap();
    let mut bed = Bed::new(&netns);
    let (ours, clients, strangers) = (
        Authority::new("ours").unwrap(),
        Authority::new("clients").unwrap(),
        Authority::new("strangers").unwrap(),
    );
    bed.put("server", &ours.issue(&["www.example.com"], Valid::Now).unwrap());
    bed.gateway.write("clients.pem", clients.pem()).unwrap();
    for (name, authority, subject, valid) in [
        ("allowed", &clients, "billing.example.com", Valid::Now),
        ("other", &clients, "other.example.net", Valid::Now),
        ("expired", &clients, "billing.example.com", Valid::Formerly),
        ("stranger", &strangers, "billing.example.com", Valid::Now),
    ] {
        bed.put(name, &authority.issue(&[subject], valid).unwrap());
    }
    let config = |auth: &str| {
        format!(
            "{BEGINNING}tls = {{ certificates = [{}], client_auth = \"{auth}\", client_ca = \"{{folder}}/clients.pem\" }}
[[verifier]]
name = \"machines\"
pass = {{ x-user = \"subject\" }}
certificate = {{ subjects = [\"*.example.com\"] }}
{REST}access = {{ any_of = [\"machines\"] }}
",
            pair("server")
        )
    };
    bed.gateway.start(&config("required")).unwrap();
    let get = |bed: &Bed<'_>, name: &str, version: &str| {
        let folder = bed.gateway.folder().display();
        let (cert, key) = (format!("{folder}/{name}.pem"), format!("{folder}/{name}.key"));
        let mut arguments = vec![version, "--header", "X-User: root"];
        if !name.is_empty() {
            arguments.extend(["--cert", &cert, "--key", &key]);
        }
        bed.get("www.example.com", &ours, &arguments)
    };
    for version in ["--http1.1", "--http2"] {
        let allowed = get(&bed, "allowed", version).unwrap();
        assert_eq!(
            (allowed.status, &allowed.json()["headers"]["x-user"]),
            (200, &"billing.example.com".into())
        );
        assert_eq!(get(&bed, "other", version).unwrap().status, 403, "{version}");
        for refused in ["expired", "stranger", ""] {
            let answer = get(&bed, refused, version);
            assert!(answer.is_err(), "{refused:?}: {answer:?}");
        }
    }
    bed.gateway.reload(&config("optional")).unwrap();
    assert_eq!(bed.gateway.reloads().unwrap(), (1.0, 0.0), "{}", bed.gateway.tail());
    // There is no challenge by which HTTP asks for a certificate, as 401 would have to bear.
    assert_eq!(get(&bed, "", "--http2").unwrap().status, 403);
    assert_eq!(get(&bed, "allowed", "--http2").unwrap().status, 200);
    let answer = get(&bed, "stranger", "--http2");
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn servers_show_certificates_of_an_authority_of_their_own() {
    require_root!();
    let netns = Netns::new("tls").unwrap();
    let inside = Authority::new("inside").unwrap();
    let certificate = Some(inside.issue(&["movies.internal"], Valid::Now).unwrap());
    let _nginx =
        TlsServer::start(&netns, &[Site { port: 9443, name: "movies.internal", certificate }]).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("inside.pem", inside.pem()).unwrap();
    gateway.write("other.pem", Authority::new("other").unwrap().pem()).unwrap();
    let mut config = BEGINNING.to_owned();
    for (name, tls) in [
        ("right", "server_name = \"movies.internal\", ca = \"{folder}/inside.pem\""),
        ("wrong-name", "server_name = \"music.internal\", ca = \"{folder}/inside.pem\""),
        ("wrong-ca", "server_name = \"movies.internal\", ca = \"{folder}/other.pem\""),
        ("machine", "server_name = \"movies.internal\""),
        ("careless", "server_name = \"music.internal\", verify = false"),
    ] {
        config += &format!(
            "[[pool]]\nname = \"{name}\"\ntls = {{ {tls} }}\nserver = [{{ address = \"127.0.0.1:9443\" }}]\n\
             [[route]]\nname = \"{name}\"\nprefix = \"/{name}\"\npool = \"{name}\"\nrequest = {{ path = \"/sni\" }}\n"
        );
    }
    gateway.start(&config).unwrap();
    let get = |path: &str| curl(&netns, &[&format!("http://127.0.0.1:8080/{path}")]).unwrap();
    let right = get("right");
    assert_eq!((right.status, right.text().trim()), (200, "for movies.internal"));
    assert_eq!(get("careless").text().trim(), "for music.internal");
    for (wrong, words) in [
        ("wrong-name", "certificate is for other names: movies.internal, not music.internal"),
        ("wrong-ca", "certificate of an unknown issuer"),
        ("machine", "certificate of an unknown issuer"),
    ] {
        let answer = get(wrong);
        assert_eq!((answer.status, &answer.json()["reason"]), (502, &"connect_failed".into()), "{wrong}");
        assert!(!answer.text().contains("internal"), "nothing of the inside: {}", answer.text());
        let line = gateway.logged(|line| line.contains(&format!("\"path\":\"/{wrong}\""))).unwrap();
        assert!(line.contains(words), "{line}");
    }
}
