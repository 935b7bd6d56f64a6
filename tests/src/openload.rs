//! Requests that arrive at random times whether or not earlier ones were answered, each over a connection of its own,
//! and what became of each. Latency counts from the time at which a request was to be sent: a slow server cannot hide
//! behind a client that waits for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::netns::Handle;
use crate::sim::Rng;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// The service.
    pub server: SocketAddr,
    /// Requests a second, on average.
    pub rate: f64,
    /// How long a client waits.
    pub patience: Duration,
    /// Tells the times.
    pub seed: u64,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered by this server.
    Answered(String),
    /// The client gave up.
    TimedOut,
    /// The connection was reset.
    Reset,
    /// Anything else, in words.
    Failed(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was to be sent.
    pub due: Instant,
    /// From then to its end.
    pub latency: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// The clients. End on drop.
#[derive(Debug)]
pub struct OpenLoad {
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OpenLoad {
    /// Starts them in the namespace `from`.
    pub fn start(from: &Handle, demand: Demand) -> Result<Self> {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (from, kept) = (from.clone(), Arc::clone(&requests));
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = from
                .enter()
                .and_then(|()| Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?));
            match runtime {
                Ok(runtime) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(run(demand, kept, stopped));
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        });
        told.recv().context("the clients' thread ended")??;
        Ok(Self { requests, stop: Some(stop), thread: Some(thread) })
    }

    /// The requests that have ended, in the order in which they did.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No more requests; gives all of them once the last has ended.
    pub fn stop(mut self) -> Vec<Request> {
        self.end();
        self.requests()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for OpenLoad {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(demand: Demand, kept: Arc<Mutex<Vec<Request>>>, mut stopped: oneshot::Receiver<()>) {
    let mut tasks = tokio::task::JoinSet::new();
    let mut due = clock::now();
    let mut random = Rng::new(demand.seed, 0);
    loop {
        due += Duration::from_secs_f64(random.exponential() / demand.rate);
        tokio::select! {
            () = sleep_until(due.into()) => {}
            _ = &mut stopped => break,
        }
        let kept = Arc::clone(&kept);
        tasks.spawn(async move {
            let outcome = match timeout(demand.patience, ask(demand.server)).await {
                Ok(Ok(name)) => Outcome::Answered(name),
                Ok(Err(error)) => failed(&error),
                Err(_) => Outcome::TimedOut,
            };
            let latency = clock::now().saturating_duration_since(due);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(Request { due, latency, outcome });
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

fn failed(error: &std::io::Error) -> Outcome {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset => Outcome::Reset,
        _ => Outcome::Failed(error.to_string()),
    }
}

async fn ask(server: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"GET /work HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(256);
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let name = text.lines().find_map(|line| line.strip_prefix("X-Backend: "));
    name.map(str::to_owned)
        .ok_or_else(|| std::io::Error::other(format!("answered {:?}", text.lines().next())))
}

/// What requests came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many there were.
    pub requests: usize,
    /// How many were not answered.
    pub errors: usize,
    /// How many of those were reset.
    pub resets: usize,
    /// Latencies of all, in ms, ascending; a request that was not answered took as long as it lasted, but never less than the client's patience.
    latencies: Vec<f64>,
    /// Answers by server.
    pub answers: BTreeMap<String, usize>,
}

impl Summary {
    /// Sums up `requests`, of clients that wait for `patience`.
    pub fn of<'a>(requests: impl Iterator<Item = &'a Request>, patience: Duration) -> Self {
        let mut summary = Self::default();
        for request in requests {
            summary.requests += 1;
            let mut latency = request.latency;
            match &request.outcome {
                Outcome::Answered(name) => *summary.answers.entry(name.clone()).or_default() += 1,
                outcome => {
                    summary.errors += 1;
                    summary.resets += usize::from(*outcome == Outcome::Reset);
                    latency = latency.max(patience);
                }
            }
            summary.latencies.push(latency.as_secs_f64() * 1000.0);
        }
        summary.latencies.sort_unstable_by(f64::total_cmp);
        summary
    }

    /// The latency, in ms, that `part` (0 to 1) of all requests do not exceed; nearest rank.
    pub fn quantile(&self, part: f64) -> f64 {
        let rank = (part * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.max(1) - 1).copied().unwrap_or(0.0)
    }

    /// Part of the answers that came from `name`, 0 to 1.
    pub fn share(&self, name: &str) -> f64 {
        let all: usize = self.answers.values().sum();
        self.answers.get(name).copied().unwrap_or(0) as f64 / all.max(1) as f64
    }

    /// Part of the requests that were not answered, 0 to 1.
    pub fn error_rate(&self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_count_as_the_longest_latencies() {
        let due = clock::now();
        let request = |ms, outcome| Request { due, latency: Duration::from_millis(ms), outcome };
        let answered = |ms, name: &str| request(ms, Outcome::Answered(name.into()));
        let requests = [
            answered(10, "a"),
            request(1, Outcome::Reset),
            answered(30, "b"),
            answered(20, "a"),
            request(2001, Outcome::TimedOut),
        ];
        let summary = Summary::of(requests.iter(), Duration::from_secs(2));
        assert_eq!((summary.requests, summary.errors, summary.resets), (5, 2, 1));
        assert_eq!(
            [0.2, 0.5, 0.6, 0.8, 1.0].map(|part| summary.quantile(part)),
            [10., 30., 30., 2000., 2001.]
        );
        assert!((summary.share("a") - 2.0 / 3.0).abs() < 1e-9 && summary.share("c") == 0.0);
    }
}
