//! The whole loop on loopback: real sockets and health checks, the real control, a fake data path.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use xdp_lb_common::ids::{BackendId, VipId};

use super::*;
use crate::api::client;
use crate::control::Explanation;
use crate::datapath::fake::Fake;

/// A web server on loopback that is healthy until it is dropped.
struct Server {
    port: u16,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(address: &str, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            }
        });
        Self { port, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A running agent with its files in a directory of its own.
struct Bed {
    dir: tempfile::TempDir,
    fake: Fake,
    orders: mpsc::Sender<Order>,
    agent: JoinHandle<()>,
}

fn config_text(dir: &Path, port: u16, weights: [u16; 2]) -> String {
    let dir = dir.display();
    format!(
        r#"
        [agent]
        interfaces = ["lo"]
        state_dir = "{dir}/state"
        control_socket = "{dir}/control.sock"
        table_size = 251
        [admin]
        listen = "127.0.0.1:9400"
        [[vip]]
        name = "web"
        address = "203.0.113.10"
        port = 80
        protocol = "tcp"
        forward = "ipip"
        [vip.health]
        kind = "http"
        port = {port}
        path = "/healthz"
        interval = "200ms"
        fast_interval = "100ms"
        timeout = "100ms"
        rise = 2
        fall = 2
        [[vip.backend]]
        name = "web-1"
        address = "10.0.0.2"
        weight = {}
        [[vip.backend]]
        name = "web-2"
        address = "10.0.0.3"
        weight = {}
        "#,
        weights[0], weights[1]
    )
}

thread_local! {
    /// Files that [`load`] found wrong. A test and its agent run on one thread.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// Loads the file with backends and admin server moved to loopback, where a configuration may not put backends.
fn load(file: &Path) -> Result<Config, LoadError> {
    let mut config = Config::load(file).inspect_err(|_| REFUSED.set(REFUSED.get() + 1))?;
    for backend in config.vips.iter_mut().flat_map(|vip| &mut vip.backends) {
        if let IpAddr::V4(address) = backend.address {
            backend.address = [127, 0, 0, address.octets()[3]].into();
        }
    }
    if let Some(admin) = &mut config.admin
        && admin.listen.port() == 9400
    {
        admin.listen.set_port(0);
    }
    Ok(config)
}

impl Bed {
    async fn start(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = config_text(dir.path(), port, [100, 100]);
        let file = dir.path().join("lb.toml");
        std::fs::write(&file, &text).unwrap();
        let config = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let edges = Edges::open(&config).await.unwrap();
        let fake = Fake::default();
        let mut agent = Agent::new(file, config, fake.clone(), None, edges, 7);
        agent.load = load;
        let (orders, received) = mpsc::channel(4);
        let agent = tokio::spawn(async move {
            agent.run(received).await;
        });
        Self { dir, fake, orders, agent }
    }

    /// Slots of the one VIP whose new connections go to each of the two backends, and those that go nowhere.
    fn shares(&self) -> [usize; 3] {
        let world = self.fake.world();
        let mut shares = [0; 3];
        let owner =
            |backend: BackendId| world.backends.get(&backend).map(|record| record.address.to_string());
        for slot in world.slots.get(&VipId::new(0)).into_iter().flatten() {
            match slot.current().and_then(owner).as_deref() {
                Some("127.0.0.2") => shares[0] += 1,
                Some("127.0.0.3") => shares[1] += 1,
                _ => shares[2] += 1,
            }
        }
        shares
    }

    /// Waits until the shares are as `wanted` says.
    async fn until(&self, what: &str, wanted: impl Fn([usize; 3]) -> bool) {
        let wait = async {
            while !wanted(self.shares()) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("{what}: {:?}", self.shares());
        }
    }

    async fn ask<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        question: Question,
    ) -> Result<T, String> {
        let socket = self.dir.path().join("control.sock");
        let asking = tokio::task::spawn_blocking(move || client::ask(&socket, &question));
        asking.await.unwrap().map_err(|e| e.to_string())
    }

    async fn stop(self) {
        self.orders.send(Order::Stop).await.unwrap();
        timeout(Duration::from_secs(5), self.agent).await.unwrap().unwrap();
        assert!(!self.dir.path().join("control.sock").exists());
    }
}

#[tokio::test]
async fn health_checks_move_slots() {
    let first = Server::start("127.0.0.2", 0).await;
    let bed = Bed::start(first.port).await;
    bed.until("one backend is up and has everything", |shares| shares == [251, 0, 0]).await;
    let second = Server::start("127.0.0.3", first.port).await;
    bed.until("the other comes and has half", |shares| shares[1] > 110 && shares[2] == 0).await;
    drop(first);
    bed.until("the first goes away", |shares| shares == [0, 251, 0]).await;
    drop(second);
    bed.stop().await;
}

#[tokio::test]
async fn what_is_known_is_kept_for_the_next_agent() {
    let server = Server::start("127.0.0.2", 0).await;
    let bed = Bed::start(server.port).await;
    bed.until("up", |shares| shares[0] == 251).await;
    let file = StateFile::new(&bed.dir.path().join("state"));
    bed.orders.send(Order::Stop).await.unwrap();
    timeout(Duration::from_secs(5), bed.agent).await.unwrap().unwrap();
    let state = serde_json::to_value(file.load().expect("it was written")).unwrap();
    let backends = state["vips"][0]["backends"].as_array().unwrap();
    assert_eq!(
        (backends[0]["address"].as_str(), backends[0]["published"].as_u64()),
        (Some("127.0.0.2"), Some(1_000_000))
    );
    assert!(backends[1]["published"].is_null(), "it never was up");
}

#[tokio::test]
async fn questions_are_answered() {
    let server = Server::start("127.0.0.2", 0).await;
    let bed = Bed::start(server.port).await;
    bed.until("up", |shares| shares[0] == 251).await;
    let down = async {
        loop {
            let status: Status = bed.ask(Question::Status {}).await.unwrap();
            if status.vips[0].backends[1].state == "down" {
                return status;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let status = timeout(Duration::from_secs(10), down).await.unwrap();
    let [up, down] = &status.vips[0].backends[..] else { panic!("{status:?}") };
    assert_eq!((up.name.as_str(), up.state.as_str(), up.share), ("web-1", "up", 1.0));
    assert!(down.reason.contains("connection refused"), "{}", down.reason);
    assert_eq!(up.next_hop, "127.0.0.2 is this machine's own address");
    assert_eq!(status.interfaces[0].name, "fake0");

    bed.fake.world().counters.reasons = vec![0; Reason::COUNT];
    bed.fake.world().counters.reasons[Reason::NotVip as usize] = 5;
    let counted = async {
        loop {
            let status: Status = bed.ask(Question::Status {}).await.unwrap();
            if !status.reasons.is_empty() && bed.fake.world().epoch >= Duration::from_secs(1) {
                return status.reasons;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let reasons = timeout(Duration::from_secs(10), counted).await.unwrap();
    let [reason] = &reasons[..] else { panic!("{reasons:?}") };
    assert_eq!((reason.name.as_str(), reason.packets), ("not_vip", 5));

    let explain =
        |vip: &str| Question::Explain { vip: vip.into(), client: "198.51.100.7:40000".parse().unwrap() };
    for vip in ["web", "203.0.113.10:80", "203.0.113.10:80/tcp"] {
        let explanation: Explanation = bed.ask(explain(vip)).await.unwrap();
        assert!(explanation.current.is_some_and(|name| name.contains("web-1")), "{vip}");
    }
    let error = bed.ask::<Explanation>(explain("nosuch")).await.unwrap_err();
    assert_eq!(error, "no VIP is called \"nosuch\"; there are: web");
    bed.stop().await;
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_wrong_file_changes_nothing() {
    let first = Server::start("127.0.0.2", 0).await;
    let _second = Server::start("127.0.0.3", first.port).await;
    let bed = Bed::start(first.port).await;
    let file = bed.dir.path().join("lb.toml");
    bed.until("half each", |shares| shares[0] > 110 && shares[1] > 110 && shares[2] == 0).await;
    std::fs::write(&file, config_text(bed.dir.path(), first.port, [300, 100])).unwrap();
    bed.orders.send(Order::Reload).await.unwrap();
    bed.until("three quarters", |shares| shares[0] > 170 && shares[1] > 50).await;
    let before = bed.shares();
    std::fs::write(&file, "[agent]\ninterfaces = 7\n").unwrap();
    bed.orders.send(Order::Reload).await.unwrap();
    let refused = async {
        while REFUSED.get() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), refused).await.expect("the wrong file is read");
    // The agent answers after it is done with the file.
    let status: Status = bed.ask(Question::Status {}).await.unwrap();
    assert_eq!(bed.shares(), before);
    assert_eq!(status.vips[0].backends[0].weight, 300);
    bed.stop().await;
}

#[tokio::test]
async fn a_data_path_that_fails_for_a_moment_is_brought_up_to_date() {
    let server = Server::start("127.0.0.2", 0).await;
    let bed = Bed::start(server.port).await;
    bed.fake.fail_next(2);
    bed.until("everything arrives in the end", |shares| shares == [251, 0, 0]).await;
    bed.stop().await;
}

#[tokio::test]
async fn a_second_agent_is_refused() {
    let server = Server::start("127.0.0.2", 0).await;
    let bed = Bed::start(server.port).await;
    let config = load(&bed.dir.path().join("lb.toml")).unwrap();
    let error = Edges::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("an agent is running already"), "{error}");
    bed.stop().await;
    let edges = Edges::open(&config).await.unwrap();
    let address = edges.admin.as_ref().unwrap().address();
    TcpStream::connect(address).await.unwrap();
}

#[tokio::test]
async fn the_admin_server_moves_to_an_address_that_holds_the_old_one_and_stays_where_it_cannot() {
    let server = Server::start("127.0.0.2", 0).await;
    let (free, taken) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (port, taken_port) = (free.local_addr().unwrap().port(), taken.local_addr().unwrap().port());
    drop(free);
    let bed = Bed::start(server.port).await;
    let reload = async |listen: String| {
        let text = config_text(bed.dir.path(), server.port, [100, 100]).replace("127.0.0.1:9400", &listen);
        std::fs::write(bed.dir.path().join("lb.toml"), text).unwrap();
        bed.orders.send(Order::Reload).await.unwrap();
    };
    let until = async |address: &str, answers: bool| {
        let asked = async {
            while TcpStream::connect((address, port)).await.is_ok() != answers {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), asked).await.unwrap_or_else(|_| panic!("{address}: not {answers}"));
    };
    reload(format!("127.0.0.1:{port}")).await;
    until("127.0.0.1", true).await;
    reload(format!("0.0.0.0:{port}")).await;
    until("127.0.0.5", true).await;
    reload(format!("127.0.0.1:{taken_port}")).await;
    let _: Status = bed.ask(Question::Status {}).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    until("127.0.0.5", true).await;
    bed.stop().await;
}

#[tokio::test]
async fn an_agent_that_stood_still_does_not_expire_flows_in_one_jump() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lb.toml");
    std::fs::write(&file, config_text(dir.path(), 1, [100, 100])).unwrap();
    let config = load(&file).unwrap_or_else(|e| panic!("{e}"));
    let edges = Edges::open(&config).await.unwrap();
    let fake = Fake::default();
    let mut agent = Agent::new(file, config, fake.clone(), None, edges, 7);
    for (stalled, epoch) in [(0, 0), (1, 1), (3_600, 3), (1, 4)] {
        agent.epoch = agent.epoch.checked_sub(Duration::from_secs(stalled)).unwrap();
        agent.every_second();
        assert_eq!(fake.world().epoch.as_secs(), epoch, "after {stalled} s");
    }
}

#[tokio::test]
async fn a_reload_whose_checks_cannot_be_led_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lb.toml");
    let text = |weight| config_text(dir.path(), 80, [weight, 100]);
    std::fs::write(&file, text(100)).unwrap();
    let config = load(&file).unwrap_or_else(|e| panic!("{e}"));
    let edges = Edges::open(&config).await.unwrap();
    let fake = Fake::default();
    let mut agent = Agent::new(file.clone(), config, fake.clone(), None, edges, 7);
    let weight = |agent: &mut Agent<Fake>| agent.status().vips[0].backends[0].weight;
    std::fs::write(&file, text(300).replace("[vip.health]", "[vip.health]\nvia = \"data-path\"")).unwrap();
    assert!(load(&file).is_ok_and(|config| config.vips[0].health.via == crate::config::CheckVia::DataPath));
    agent.load = load;
    for (refused, expected) in [(true, 100), (false, 300)] {
        fake.world().leads_no_checks = refused;
        agent.reload().await;
        assert_eq!(weight(&mut agent), expected);
    }
}
