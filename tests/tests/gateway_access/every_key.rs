//! A configuration with every key, with real files.

use super::contract::DOCUMENT;
use super::secrets::key_line;
use super::*;

#[test]
fn a_configuration_with_every_key_runs() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let text = include_str!("../../../xdp-lb/src/config/tests/gateway/every_key.toml");
    let config = ["/etc/xdp-lb/", "/var/log/xdp-lb/", "/run/xdp-lb-gateway/", "/run/xdp-lb/"]
        .iter()
        .fold(text.to_owned(), |text, folder| text.replace(folder, "{folder}/"))
        .replace("XDP_LB_CA", "{folder}/clients.pem")
        .replace("127.0.0.1:9402", "127.0.0.1:9401");
    let authority = Authority::new("ours").unwrap();
    let issued = authority.issue(&["www.example.com"], Valid::Now).unwrap();
    gateway.write("clients.pem", authority.pem()).unwrap();
    gateway.write("internal.pem", authority.pem()).unwrap();
    gateway.write("ca.pem", authority.pem()).unwrap();
    for name in ["www", "api", "gateway", "client"] {
        gateway.write(&format!("{name}.pem"), &issued.certificate).unwrap();
        gateway.write(&format!("{name}.key"), &issued.key).unwrap();
    }
    let secret = json!({"kty": "oct", "kid": "a", "k": URL_SAFE_NO_PAD.encode([7; 32])});
    gateway.write("jwks.json", json!({"keys": [secret]}).to_string()).unwrap();
    gateway.write("keys", key_line("a", "0123456789abcdef")).unwrap();
    gateway.write("users", "# nobody\n").unwrap();
    gateway.write("movies.yaml", DOCUMENT).unwrap();
    gateway.write("login.json", r#"[{"address": "127.0.0.1:9002"}]"#).unwrap();
    gateway.start(&config).unwrap();
    gateway
        .reload(
            &config
                .replace("threads = 4", "threads = 4\nmax_in_flight = 7")
                .replace("\nmax_in_flight = 20000", ""),
        )
        .unwrap();
    assert_eq!(gateway.reloads().unwrap(), (1.0, 0.0), "{}", gateway.tail());
    assert!(gateway.stop().unwrap().success());
}
