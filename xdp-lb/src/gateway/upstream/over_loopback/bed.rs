//! Servers by script, a pool of them, and the way to send.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Ratio;
use crate::config::Weight;
use crate::config::gateway::{
    Balance, Breaker, Members, PoolConfig, Retry, Server, UpstreamProtocol, UpstreamTimeouts,
};
use crate::control::score::Verdict;
use crate::gateway::upstream::verdict::told;
use crate::gateway::upstream::{Origin, Pool, Pools, SendOptions, Trail, Worker, send_for};
use crate::gateway::{Body, Refusal};

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub(super) struct Bed {
    pub(super) pool: Arc<Pool>,
    pub(super) worker: Arc<Worker>,
    pub(super) trail: Mutex<Trail>,
}

/// A server that runs a script for each connection.
#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    pub(super) async fn new<F>(script: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let index = count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(script(index, stream));
            }
        });
        Self { address, connections }
    }

    /// One that reads a head, says this and closes.
    pub(super) async fn says(answer: &'static [u8]) -> Self {
        Self::new(move |_, mut stream| async move {
            head(&mut stream).await;
            stream.write_all(answer).await.ok();
        })
        .await
    }

    /// One that answers each request of a connection, body included, with this.
    pub(super) async fn keeps_saying(answer: &'static [u8]) -> Self {
        Self::new(move |_, mut stream| async move {
            while head(&mut stream).await.is_some() {
                stream.write_all(answer).await.ok();
            }
        })
        .await
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Reads a request's head; `None` at the connection's end.
pub(super) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A pool of these servers, patient and without retries.
pub(super) fn config(servers: &[SocketAddr]) -> PoolConfig {
    let long = Duration::from_secs(20);
    let servers = (0..).zip(servers).map(|(number, &address): (u32, _)| Server {
        name: format!("server-{number}"),
        address,
        weight: Weight::DEFAULT,
    });
    PoolConfig {
        name: "books".into(),
        members: Members::Static(servers.collect()),
        protocol: UpstreamProtocol::Http1,
        tls: None,
        proxy_protocol: false,
        health: None,
        balance: Balance {
            choices: 2,
            warmup: Duration::ZERO,
            eject_after: 0,
            eject_least: Duration::from_secs(5),
            eject_most: Duration::from_secs(60),
            utilization_header: None,
            failures: vec![500, 502, 503, 504],
        },
        retry: Retry {
            tries: 1,
            budget: Ratio::thousandths(200),
            least: 100,
            statuses: Vec::new(),
            body_bytes: 1024,
        },
        hedge: None,
        breaker: Breaker { max_in_flight: 0, max_pending: 0, pending_timeout: Duration::ZERO },
        timeouts: UpstreamTimeouts { connect: long, per_try: long, request: long, idle: long },
        idle_connections: 8,
        idle_timeout: Duration::from_secs(60),
    }
}

impl Bed {
    pub(super) fn new(config: &PoolConfig) -> Self {
        let pools = Pools::build(std::slice::from_ref(config), None).unwrap();
        Self { pool: Arc::clone(pools.get(0)), worker: Worker::new(), trail: Mutex::default() }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        self.send_from(request, None).await
    }

    pub(super) async fn send_from(
        &self,
        request: Request<Body>,
        ends: Option<(SocketAddr, SocketAddr)>,
    ) -> Result<Response<Body>, Refusal> {
        let origin = Origin { ends, started: super::super::trip::now(), wall: SystemTime::UNIX_EPOCH };
        let mut trail = Trail::default();
        let answer =
            send_for(&self.pool, &self.worker, origin, &mut trail, request, SendOptions::default()).await;
        *self.trail.lock().unwrap() = trail;
        answer
    }

    /// Sends and takes the whole answer.
    pub(super) async fn text(&self, request: Request<Body>) -> Result<(u16, String), Refusal> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }

    pub(super) fn tries(&self) -> u8 {
        self.trail.lock().unwrap().tries
    }

    /// Requests in the pool, and in flight at its servers.
    pub(super) fn busy(&self) -> (u32, u32) {
        let status = self.pool.status(super::super::trip::now());
        (status.in_flight, status.servers.iter().map(|server| server.score.in_flight).sum())
    }

    /// Waits until nothing is in flight any more: whatever happened, everything has to be given back.
    pub(super) async fn quiet(&self) {
        until("nothing is in flight", || self.busy() == (0, 0)).await;
    }

    pub(super) fn failures(&self) -> usize {
        told().iter().filter(|verdict| **verdict == Verdict::Failure).count()
    }
}

pub(super) fn get() -> Request<Body> {
    request("GET", Body::empty())
}

pub(super) fn request(method: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri("/path?query").header("host", "a.example").body(body).unwrap()
}

/// Waits for a condition.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(tokio::time::Instant::now() < limit, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
