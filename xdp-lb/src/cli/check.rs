//! `xdp-lb check`: whether a configuration is valid, and what it says.

mod gateway;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{
    Backend, CheckVia, Config, DecapConfig, File, HealthKind, LoadError, Scheduler, UtilizationKind, Vip,
    Warmup,
};

/// Checks a configuration file and touches nothing.
///
/// Prints what a valid file says, and notes on what is valid and perhaps not meant. Of a wrong one it prints every
/// error, with its line, the key, the value as written and what is allowed.
///
/// Exit codes: 0 valid, 2 not.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// A balancer's lb.toml, a gateway's gateway.toml, or a backend's decap.toml
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> ExitCode {
    check(&args.config)
}

/// Prints a summary of the file at `path` and returns 0, or every error in it and returns 2.
pub fn check(path: &Path) -> ExitCode {
    // Where writing fails the reader has gone away, and nobody is left to tell.
    match verdict(path) {
        Ok(summary) => {
            let _ = std::io::stdout().write_all(summary.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn verdict(path: &Path) -> Result<String, String> {
    let file = File::load(path).map_err(|error: LoadError| error.to_string())?;
    if let File::Gateway(config) = &file {
        crate::gateway::check(config).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(summary(path, &file))
}

fn summary(path: &Path, file: &File) -> String {
    let mut text = format!("{} is valid: ", path.display());
    match file {
        File::Balancer(config) => balancer(&mut text, config),
        File::Backend(config) => backend(&mut text, config),
        File::Gateway(config) => gateway::sum_up(&mut text, config),
    }
    text
}

/// Backends up to which each has its own line: then the summary fits on a screen.
const BACKENDS_SHOWN: usize = 16;

/// VIPs that have a line.
const VIPS_SHOWN: usize = 20;

fn balancer(text: &mut String, config: &Config) {
    let backends: usize = config.vips.iter().map(|vip| vip.backends.len()).sum();
    let (vips, interfaces) = (counted(config.vips.len(), "VIP"), config.agent.interfaces.join(", "));
    let _ = writeln!(text, "{vips}, {}, on {interfaces}", counted(backends, "backend"));
    for vip in config.vips.iter().take(VIPS_SHOWN) {
        let _ = writeln!(text, "  {}", service(vip));
        if backends <= BACKENDS_SHOWN {
            shares(text, vip);
        }
    }
    if config.vips.len() > VIPS_SHOWN {
        let _ = writeln!(text, "  and {} more", config.vips.len() - VIPS_SHOWN);
    }
    for note in config.notes() {
        let _ = writeln!(text, "note: {note}");
    }
}

fn service(vip: &Vip) -> String {
    let port = if vip.port == 0 { "any port".to_owned() } else { format!("port {}", vip.port) };
    let health = match &vip.health.kind {
        HealthKind::None => "not checked".to_owned(),
        HealthKind::Tcp { port } => format!("checked by TCP on port {port}"),
        HealthKind::Http { port, path, tls: None, .. } => format!("checked by GET {path} on port {port}"),
        HealthKind::Http { port, path, tls: Some(tls), .. } => {
            let whom = if tls.verify { "" } else { ", whoever answers," };
            format!("checked by GET {path} over TLS{whom} on port {port}")
        }
        HealthKind::Icmp => "checked by ping".to_owned(),
        HealthKind::Udp { port, .. } => format!("checked by a datagram to port {port}"),
    };
    let via = match vip.health.via {
        CheckVia::Direct => "",
        CheckVia::DataPath => " of the VIP, through the data path",
    };
    format!(
        "{}: {} {port}/{} by {} to {}, {health}{via}{}",
        vip.name,
        vip.address,
        vip.protocol.name(),
        vip.forward.name(),
        counted(vip.backends.len(), "backend"),
        liveness(vip)
    )
}

/// What moves the shares of new connections, where that is not the default.
fn liveness(vip: &Vip) -> String {
    let mut text = String::new();
    if let Scheduler::P2c { margin } = vip.scheduler {
        let _ = write!(text, ", the better of two by {}", margin.get());
    }
    let kind = vip.utilization.kind.name();
    match &vip.utilization.kind {
        UtilizationKind::None => {}
        UtilizationKind::OrcaHttp { port, path, .. } => {
            let _ = write!(text, ", utilization by {kind} from {path} on port {port}");
        }
        UtilizationKind::AgentCheck { port, .. } | UtilizationKind::OrcaGrpc { port } => {
            let _ = write!(text, ", utilization by {kind} on port {port}");
        }
    }
    if vip.warmup.window.is_zero() {
        text.push_str(", not warmed up");
    } else if vip.warmup.window != Warmup::DEFAULT.window {
        let _ = write!(text, ", warm at {}", humantime::format_duration(vip.warmup.window));
    }
    text
}

fn shares(text: &mut String, vip: &Vip) {
    let weight = |backend: &Backend| if backend.drain { 0 } else { u32::from(backend.weight.get()) };
    let total: u32 = vip.backends.iter().map(weight).sum();
    let longest = vip.backends.iter().map(|backend| backend.name.len()).max().unwrap_or_default();
    for backend in &vip.backends {
        let share = f64::from(weight(backend)) * 100.0 / f64::from(total.max(1));
        let drains = if backend.drain { ", drains" } else { "" };
        let (name, address, weight) = (&backend.name, backend.address, backend.weight.get());
        let _ = writeln!(text, "    {name:longest$}  {address}  weight {weight} = {share:.1} %{drains}");
    }
}

fn backend(text: &mut String, config: &DecapConfig) {
    let list = |items: Vec<String>| items.join(", ");
    let _ = writeln!(
        text,
        "ends tunnels to {} from {} on {}",
        list(config.addresses.iter().map(ToString::to_string).collect()),
        list(config.sources.iter().map(ToString::to_string).collect()),
        config.interfaces.join(", ")
    );
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LB: &str = r#"
        [agent]
        interfaces = ["eth0", "eth1"]
        [[vip]]
        name = "web"
        address = "203.0.113.10"
        port = 80
        forward = "ipip"
        health = { kind = "http", path = "/healthz" }
        backend = [
            { name = "web-1", address = "10.0.0.11" },
            { name = "web-22", address = "10.0.0.12", weight = 300 },
            { name = "web-3", address = "10.0.0.13", drain = true },
        ]
        [[vip]]
        name = "dns"
        address = "2001:db8::53"
        port = 0
        protocol = "udp"
        forward = "l2"
    "#;

    #[test]
    fn a_valid_file_is_summed_up_on_a_screen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lb.toml");
        std::fs::write(&path, LB).unwrap();
        let valid = format!("{} is valid: ", path.display());
        assert_eq!(
            verdict(&path).unwrap().strip_prefix(&valid).unwrap(),
            "2 VIPs, 3 backends, on eth0, eth1\n\
             \x20 web: 203.0.113.10 port 80/tcp by ipip to 3 backends, checked by GET /healthz on port 80\n\
             \x20   web-1   10.0.0.11  weight 100 = 25.0 %\n\
             \x20   web-22  10.0.0.12  weight 300 = 75.0 %\n\
             \x20   web-3   10.0.0.13  weight 100 = 0.0 %, drains\n\
             \x20 dns: 2001:db8::53 any port/udp by l2 to 0 backends, not checked\n\
             note: vip \"dns\": no [[vip.backend]]: its packets are dropped and counted\n"
        );
    }

    #[test]
    fn what_moves_shares_is_told_where_it_is_not_the_default() {
        for (text, said) in [
            ("", ""),
            ("[vip.warmup]\nwindow = \"90s\"", ""),
            ("[vip.warmup]\nwindow = \"0s\"", ", not warmed up"),
            ("[vip.warmup]\nwindow = \"30s\"", ", warm at 30s"),
            ("scheduler = \"p2c\"", ", the better of two by 0.25"),
            ("utilization = { kind = \"orca-http\" }", ", utilization by orca-http from / on port 9708"),
            ("utilization = { kind = \"orca-grpc\", port = 1 }", ", utilization by orca-grpc on port 1"),
            (
                "scheduler = \"p2c\"\nutilization.kind = \"agent-check\"\nwarmup.window = \"5m\"",
                ", the better of two by 0.25, utilization by agent-check on port 9707, warm at 5m",
            ),
        ] {
            let vip = "[[vip]]\nname = \"a\"\naddress = \"10.1.0.1\"\nport = 1\nforward = \"ipip\"\n";
            let text = format!("[agent]\ninterfaces = [\"eth0\"]\n{vip}{text}");
            let config = Config::from_toml(&text, Path::new("lb.toml")).unwrap();
            let expected =
                format!("a: 10.1.0.1 port 1/tcp by ipip to 0 backends, checked by TCP on port 1{said}");
            assert_eq!(service(&config.vips[0]), expected);
        }
    }

    #[test]
    fn each_kind_of_check_is_named() {
        for (protocol, health, words) in [
            ("tcp", "kind = \"none\"", "not checked"),
            ("tcp", "kind = \"tcp\"", "checked by TCP on port 80"),
            ("tcp", "kind = \"http\"", "checked by GET / on port 80"),
            ("tcp", "kind = \"https\", host = \"a\"", "checked by GET / over TLS on port 80"),
            (
                "tcp",
                "kind = \"https\", verify = false",
                "checked by GET / over TLS, whoever answers, on port 80",
            ),
            ("tcp", "kind = \"icmp\"", "checked by ping"),
            ("udp", "kind = \"udp\"", "checked by a datagram to port 80"),
            ("tcp", "via = \"data-path\"", "checked by TCP on port 80 of the VIP, through the data path"),
        ] {
            let text = format!(
                "[agent]\ninterfaces = [\"eth0\"]\n[[vip]]\nname = \"web\"\naddress = \"203.0.113.10\"\nport = 80\n\
                 protocol = {protocol:?}\nforward = \"ipip\"\nhealth = {{ {health} }}"
            );
            let config = Config::from_toml(&text, Path::new("lb.toml")).unwrap();
            let line = service(&config.vips[0]);
            assert!(line.ends_with(&format!(" backends, {words}")), "{line}");
        }
    }

    #[test]
    fn a_large_file_still_fits_on_a_screen() {
        let vips: String = (0..64)
            .map(|i| {
                format!(
                    "[[vip]]\nname = \"v{i}\"\naddress = \"10.1.0.{}\"\nport = 1\nforward = \"ipip\"\n",
                    i + 1
                ) + &format!("backend = [{{ name = \"b\", address = \"10.2.0.{}\" }}]\n", i + 1)
            })
            .collect();
        let text = format!("[agent]\ninterfaces = [\"eth0\"]\n{vips}");
        let config = Config::from_toml(&text, Path::new("lb.toml")).unwrap();
        let summary = summary(Path::new("lb.toml"), &File::Balancer(Box::new(config)));
        assert_eq!(summary.lines().count(), 1 + VIPS_SHOWN + 1, "{summary}");
        assert!(summary.ends_with("  and 44 more\n"), "{summary}");
    }

    #[test]
    fn a_backends_file_is_told_by_its_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("any-name.toml");
        std::fs::write(&path, "[decap]\ninterfaces = [\"eth0\"]\naddresses = [\"10.0.0.11\"]").unwrap();
        let valid = format!("{} is valid: ", path.display());
        assert_eq!(
            verdict(&path).unwrap().strip_prefix(&valid).unwrap(),
            "ends tunnels to 10.0.0.11 from 172.16.0.0/16, 100::/64 on eth0\n"
        );
    }

    #[test]
    fn a_gateways_file_is_told_by_its_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("any-name.toml");
        std::fs::write(&path, "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:80\"").unwrap();
        let valid = format!("{} is valid: 1 listener, 0 pools, 0 routes\n", path.display());
        let summary = verdict(&path).unwrap();
        assert!(summary.starts_with(&valid), "{summary}");
        assert!(summary.contains("\nnote: no [[route]]: every request is answered with 404\n"), "{summary}");
    }

    #[test]
    fn what_is_wrong_or_unreadable_is_said_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.toml");
        let message = verdict(&missing).unwrap_err();
        assert_eq!(
            message,
            format!("{}: cannot be read: No such file or directory (os error 2)", missing.display())
        );
        let bad = dir.path().join("bad.toml");
        for (text, said) in [
            (&b"[decap]"[..], ":1: decap.interfaces: missing: expected a list of 1 to 64 interface names"),
            (b"", ":1: agent.interfaces: missing: expected a list of 1 to 64 interface names"),
            (b"[agent]\n[decap]", ":2: decap: belongs to a backend's decap.toml, which `xdp-lb decap` reads"),
            (
                b"[[route]]\n[[vip]]",
                ":2: vip: belongs to a balancer's lb.toml, which `xdp-lb run` reads: here",
            ),
            (b"[[pool]]", ":1: pool: belongs to gateway.toml, which `xdp-lb gateway` reads"),
            (
                b"[[route]]\nname = \"r\"\nredirect = { to = \"https://{header:x}/\" }\n[[listener]]\nname = \"a\"\n\
                  address = \"127.0.0.1:80\"",
                ": route `r`: the target of a redirect is \"https://{..}/\", which lets the client choose the host",
            ),
            (b"not toml", ":1: not valid TOML at column 5"),
            (b"[agent]\ninterfaces = [\"\xff\"]", ":2: not UTF-8 text: save the file as UTF-8"),
        ] {
            std::fs::write(&bad, text).unwrap();
            let message = verdict(&bad).unwrap_err();
            assert!(message.contains(&format!("{}{said}", bad.display())), "{message}");
        }
    }
}
