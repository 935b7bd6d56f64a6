//! How servers stand by their checks, and that the checks are made as configured.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::fixtures::{self, at, start, until};
use super::super::{PoolStatus, Pools};
use super::*;

fn http() -> HealthKind {
    HealthKind::Http {
        port: 0,
        path: "/healthz".into(),
        host: "web.test".into(),
        expect: 200..=299,
        body: None,
        tls: None,
    }
}

#[test]
fn health_is_ignored_while_more_than_half_are_down() {
    for (up, all, expected) in [
        (0, 0, false),
        (1, 1, false),
        (0, 1, true),
        (1, 2, false),
        (1, 3, true),
        (2, 3, false),
        (4, 10, true),
        (5, 10, false),
    ] {
        assert_eq!(panics(up, all), expected, "{up} of {all}");
    }
}

#[test]
fn a_check_goes_to_the_servers_own_port_unless_another_is_told() {
    let address = SocketAddr::from(([10, 0, 0, 1], 8080));
    let udp = |port| HealthKind::Udp { port, request: vec![1], expect: vec![] };
    for (kind, expected) in [
        (HealthKind::Tcp { port: 0 }, HealthKind::Tcp { port: 8080 }),
        (HealthKind::Tcp { port: 9 }, HealthKind::Tcp { port: 9 }),
        (udp(0), udp(8080)),
        (udp(9), udp(9)),
        (HealthKind::Icmp, HealthKind::Icmp),
    ] {
        assert_eq!(aimed(&kind, address), expected);
    }
    assert!(matches!(aimed(&http(), address), HealthKind::Http { port: 8080, .. }));
}

/// One server's check, driven by hand.
struct One<'a> {
    checks: Checks<'a>,
    now: Instant,
}

impl<'a> One<'a> {
    fn new(spec: &'a Health, condition: Condition) -> Self {
        let mut checks = Checks { spec, rng: Rng::new(1), servers: BTreeMap::new() };
        checks.sync(vec![(info(0), condition)], start());
        Self { checks, now: start() }
    }

    fn step(&mut self, is_ok: bool) -> bool {
        self.now = self.checks.due().expect("a check is due");
        assert_eq!(self.checks.begin(self.now), [(ServerId(0), info(0).address)]);
        assert_eq!(self.checks.due(), None, "one at a time");
        let outcome = if is_ok { Ok(()) } else { Err("connection refused".to_owned()) };
        self.checks.judge(ServerId(0), outcome, self.now).unwrap().0.is_up
    }
}

fn info(id: u8) -> Arc<ServerInfo> {
    let address = SocketAddr::from(([10, 0, 0, id], 80));
    Arc::new(ServerInfo { id: ServerId(id.into()), name: "a".into(), address })
}

#[test]
fn servers_stand_by_what_their_checks_find() {
    let spec = fixtures::health(HealthKind::Tcp { port: 0 });
    assert!(Standing::of_newcomer(Some(&spec)).is_up, "up at once");
    assert!(Standing::of_newcomer(None).is_up);
    let unchecked = fixtures::health(HealthKind::None);
    assert_eq!(Standing::of_newcomer(Some(&unchecked)).words, "not checked");
    for (before, outcomes, stands) in [
        (Condition::Checking, "+", "+"),
        (Condition::Checking, "-+", "-+"),
        (Condition::Checking, "---+-++", "------+"),
        (Condition::Checking, "+--+---++", "++++++--+"),
        (Condition::Up, "--+---", "+++++-"),
        (Condition::Down, "+-++", "---+"),
    ] {
        let mut one = One::new(&spec, before);
        for (number, (outcome, expected)) in outcomes.chars().zip(stands.chars()).enumerate() {
            let up = one.step(outcome == '+');
            assert_eq!(up, expected == '+', "{before:?}, {outcomes}, step {number}");
        }
    }
}

#[test]
fn checks_of_those_that_stay_go_on_and_the_first_ones_are_spread() {
    let spec = fixtures::health(HealthKind::Tcp { port: 0 });
    let mut checks = Checks { spec: &spec, rng: Rng::new(1), servers: BTreeMap::new() };
    let servers = |ids: std::ops::Range<u8>| ids.map(|id| (info(id), Condition::Checking)).collect();
    checks.sync(servers(0..100), start());
    let mut due: Vec<_> = checks.servers.values().map(|(check, _)| check.due().unwrap()).collect();
    due.sort_unstable();
    due.dedup();
    assert!(due.len() > 90, "at {} times", due.len());
    assert!(*due.last().unwrap() <= start() + spec.fast_interval);
    let before = checks.servers[&ServerId(60)].0.due();
    checks.sync(servers(50..101), start() + spec.interval);
    assert_eq!(checks.servers.len(), 51);
    assert_eq!(checks.servers[&ServerId(60)].0.due(), before);
    assert!(checks.judge(ServerId(3), Ok(()), start()).is_none(), "it is no server any more");
}

/// A server that answers checks with a status that the test sets.
struct Healthz {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

/// How many of them are being asked, and were at most.
#[derive(Default)]
struct Asked {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

async fn healthz(status: u16, asked: &Arc<Asked>) -> Healthz {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = Arc::new(AtomicU16::new(status));
    let (said, asked) = (Arc::clone(&status), Arc::clone(asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let now = asked.now.fetch_add(1, Ordering::SeqCst) + 1;
            asked.most.fetch_max(now, Ordering::SeqCst);
            asked.all.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap_or_default();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\n"), "{request:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            asked.now.fetch_sub(1, Ordering::SeqCst);
            let status = said.load(Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Healthz { address, status }
}

fn pools(servers: &[Healthz], kind: HealthKind) -> Arc<Pools> {
    let servers: Vec<_> =
        servers.iter().zip(["a", "b", "c", "d"]).map(|(server, name)| at(name, server.address)).collect();
    let config = crate::config::gateway::PoolConfig {
        health: Some(fixtures::health(kind)),
        ..fixtures::pool("web", &servers)
    };
    Arc::new(Pools::build_seeded(&[config], None, &mut || 1, start()).unwrap())
}

fn status(pools: &Pools) -> PoolStatus {
    pools.get(0).status(now())
}

fn states(pools: &Pools) -> Vec<String> {
    status(pools).servers.into_iter().map(|server| server.score.state).collect()
}

#[tokio::test]
async fn servers_go_down_and_come_up_with_their_checks() {
    let asked = Arc::default();
    let servers = [healthz(200, &asked).await, healthz(200, &asked).await, healthz(503, &asked).await];
    let pools = pools(&servers, http());
    let running = tokio::spawn(Arc::clone(&pools).run());
    until("c is down", || states(&pools)[2] == "down").await;
    assert!(status(&pools).servers[2].health.contains("503"), "{:?}", status(&pools));
    until("the others passed", || {
        status(&pools).servers[..2].iter().all(|server| server.health == "last check passed")
    })
    .await;
    for _ in 0..50 {
        let picked = pools.get(0).pick(&[], now()).unwrap();
        assert_ne!(&*picked.server().name, "c");
    }
    servers[1].status.store(500, Ordering::SeqCst);
    until("more than half are down", || status(&pools).panic).await;
    assert!(!states(&pools).contains(&"down".to_owned()), "health is ignored");
    servers[2].status.store(200, Ordering::SeqCst);
    until("half are up again", || !status(&pools).panic).await;
    assert_eq!(states(&pools)[1], "down");
    running.abort();
}

#[tokio::test]
async fn only_so_many_are_checked_at_a_time() {
    let asked = Arc::<Asked>::default();
    let servers = [
        healthz(200, &asked).await,
        healthz(200, &asked).await,
        healthz(200, &asked).await,
        healthz(200, &asked).await,
    ];
    let pools = pools(&servers, http());
    let (prober, turns) = (Prober::default(), Semaphore::new(1));
    tokio::select! {
        () = watch(pools.get(0), &prober, &turns, 1) => {}
        () = until("many checks were made", || asked.all.load(Ordering::SeqCst) >= 12) => {}
    }
    assert_eq!(asked.most.load(Ordering::SeqCst), 1);
    assert!(status(&pools).servers.iter().all(|server| server.health == "last check passed"));
}

#[tokio::test]
async fn a_reload_keeps_who_is_down_and_ends_with_the_checks() {
    let asked = Arc::default();
    let servers = [healthz(200, &asked).await, healthz(503, &asked).await];
    let before = pools(&servers, http());
    let running = tokio::spawn(Arc::clone(&before).run());
    until("b is down", || before.get(0).standings()[1].1 == Condition::Down).await;
    running.abort();
    let mut config = before.get(0).config().clone();
    config.idle_connections += 1;
    let same = Pools::build_seeded(&[config.clone()], Some(&before), &mut || 2, start()).unwrap();
    same.take_over(now());
    assert_eq!(states(&same)[1], "down");
    assert_eq!(same.get(0).standings()[1].1, Condition::Down);
    config.health = None;
    let unchecked = Pools::build_seeded(&[config], Some(&same), &mut || 3, start()).unwrap();
    assert_eq!(states(&unchecked)[1], "down", "not in force yet");
    unchecked.take_over(now());
    assert_ne!(states(&unchecked)[1], "down");
    assert_eq!(status(&unchecked).servers[1].health, "not checked");
}
