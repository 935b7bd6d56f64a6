//! What a health check costs: CPU time of the agent's side, at a steady rate, against nginx and the kernel on loopback in
//! a namespace of its own. Prints; judges nothing.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};
use xdp_lb::config::{CheckTls, HealthKind};
use xdp_lb::probe::Prober;
use xdp_lb_tests::certs::{Authority, Valid};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::root;
use xdp_lb_tests::tlsserver::{Site, TlsServer};

/// Measures the CPU time of health checks.
#[derive(Debug, Parser)]
struct Args {
    /// Checks begun a second; over TLS a quarter of it, as the server shares this machine's cores
    #[arg(long, default_value_t = 2000)]
    rate: u32,

    /// Seconds for each kind
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NAME: &str = "web.example";

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(root::is_root(), "needs root, for a network namespace");
    let authority = Authority::new("measurement")?;
    let certificate = Some(authority.issue(&[NAME], Valid::Now)?);
    let netns = Netns::new("checks")?;
    let sites =
        [Site { port: 80, name: NAME, certificate: None }, Site { port: 443, name: NAME, certificate }];
    let _server = TlsServer::start(&netns, &sites)?;
    let echo = netns.run_in(|| Ok(UdpSocket::bind((LOCALHOST, 7))?))?;
    // Ends with the process.
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((length, from)) = echo.recv_from(&mut datagram) {
            let _ = echo.send_to(datagram.get(..length).unwrap_or_default(), from);
        }
    });
    let http = |port, tls| HealthKind::Http {
        port,
        path: "/".into(),
        host: NAME.into(),
        expect: 200..=399,
        body: Some("ok".into()),
        tls,
    };
    let tls =
        CheckTls { server_name: NAME.into(), verify: true, ca: Some(authority.pem().into_bytes().into()) };
    let kinds = [
        ("tcp", HealthKind::Tcp { port: 80 }),
        ("http", http(80, None)),
        ("https", http(443, Some(tls))),
        ("icmp", HealthKind::Icmp),
        ("udp", HealthKind::Udp { port: 7, request: b"ping".to_vec(), expect: b"ping".to_vec() }),
    ];
    println!("{} checks a second of each kind for {} s", args.rate, args.seconds);
    println!("kind    CPU a check   checks a second on one core   failed");
    for (name, kind) in kinds {
        let rate = if name == "https" { args.rate.div_ceil(4) } else { args.rate };
        let (cpu, failures) = netns
            .run_in(|| measure(rate, args.seconds, &kind))
            .with_context(|| format!("measuring {name}"))?;
        let micros = cpu.as_secs_f64() * 1e6 / f64::from(rate * args.seconds);
        println!(
            "{name:<6} {micros:>9.1} us   {:>27.0}   {:>6} {}",
            1e6 / micros,
            failures.len(),
            failures.first().map(String::as_str).unwrap_or_default()
        );
    }
    Ok(())
}

/// CPU time of this thread, which does nothing else, and why checks failed.
fn measure(rate: u32, seconds: u32, kind: &HealthKind) -> Result<(Duration, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let prober = Arc::new(Prober::default());
        let mut tick = interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        let before = thread_time();
        for millisecond in 1..=seconds * 1000 {
            tick.tick().await;
            while (tasks.len() as u64) < u64::from(rate) * u64::from(millisecond) / 1000 {
                let (prober, kind) = (Arc::clone(&prober), kind.clone());
                tasks.push(tokio::spawn(async move {
                    prober.probe(LOCALHOST, None, &kind, Duration::from_secs(5)).await
                }));
            }
        }
        for task in tasks {
            failures.extend(task.await?.err());
        }
        Ok((thread_time().saturating_sub(before), failures))
    })
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
