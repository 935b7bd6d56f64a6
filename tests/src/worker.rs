//! A web server with a bounded number of workers: a request takes one for its service time, or waits in line. Service
//! times are slept, so that many servers do not fight for one machine's cores.
//!
//! Beside its own port it listens on [`REPORT_PORT`], where it tells how busy it is as a real server would
//! (`endpoint-load-metrics`), and answers `/healthz` at once.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use crate::clock;
use crate::netns::Handle;
use crate::sim::Rng;

/// Where it reports how busy it is.
pub const REPORT_PORT: u16 = 9708;

/// Time constant by which the report is averaged.
const REPORTED_OVER: Duration = Duration::from_secs(1);

/// How a server serves.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Requests served at the same time.
    pub workers: u32,
    /// Requests that may wait for a worker; more are refused by an error at once.
    pub line: u32,
    /// Mean service time; times are spread exponentially.
    pub mean: Duration,
    /// How old it says that it is at its start.
    pub age: Duration,
    /// How many times slower it is right after its start.
    pub cold: f64,
    /// Time constant of its warming up.
    pub warms_over: Duration,
}

/// The server; ends on drop, as a process that is killed: its connections are cut.
#[derive(Debug)]
pub struct Worker {
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    name: String,
    service: Service,
    started: Instant,
    /// Thousandths by which service times are multiplied.
    slowness: AtomicU32,
    turns: Semaphore,
    waiting: AtomicU32,
    random: Mutex<Rng>,
    served: AtomicU64,
    busy: Mutex<Busy>,
    failing: AtomicBool,
}

/// How busy the workers were, averaged over [`REPORTED_OVER`].
#[derive(Debug)]
struct Busy {
    at: Instant,
    workers: f64,
    mean_workers: f64,
    rate: f64,
}

impl Worker {
    /// Starts it in the namespace `netns`, on `port` of every address. `seed` tells the order of its service times.
    pub fn start(netns: &Handle, name: &str, port: u16, service: Service, seed: u64) -> Result<Self> {
        let now = clock::now();
        let state = Arc::new(State {
            name: name.to_owned(),
            service,
            started: now,
            slowness: AtomicU32::new(1000),
            turns: Semaphore::new(service.workers as usize),
            waiting: AtomicU32::new(0),
            random: Mutex::new(Rng::new(seed, 0)),
            served: AtomicU64::new(0),
            busy: Mutex::new(Busy { at: now, workers: 0.0, mean_workers: 0.0, rate: 0.0 }),
            failing: AtomicBool::new(false),
        });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let (netns, shared) = (netns.clone(), Arc::clone(&state));
        let thread = thread::spawn(move || {
            let outcome = serve(&netns, port, &shared, stopped, &tell);
            // Nobody waits any more where it had begun to serve.
            let _ = tell.send(outcome);
        });
        let worker = Self { state, stop: Some(stop), thread: Some(thread) };
        told.recv().context("its thread ended")?.with_context(|| format!("{name} cannot serve"))?;
        Ok(worker)
    }

    /// From now on, service times are `factor` times as long.
    pub fn slow_down(&self, factor: f64) {
        self.state.slowness.store((factor * 1000.0) as u32, Ordering::Relaxed);
    }

    /// Whether requests are answered by an error at once.
    pub fn fail(&self, failing: bool) {
        self.state.failing.store(failing, Ordering::Relaxed);
    }

    /// Requests answered so far.
    pub fn served(&self) -> u64 {
        self.state.served.load(Ordering::Relaxed)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Told = std::sync::mpsc::Sender<Result<()>>;

fn serve(
    netns: &Handle,
    port: u16,
    state: &Arc<State>,
    stopped: oneshot::Receiver<()>,
    tell: &Told,
) -> Result<()> {
    netns.enter()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Dropped with the runtime, all connections are closed.
    runtime.block_on(async {
        let listen = |port| TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        let (requests, reports) = (listen(port).await?, listen(REPORT_PORT).await?);
        let _ = tell.send(Ok(()));
        tokio::select! {
            () = accept(&requests, state) => {}
            () = accept(&reports, state) => {}
            _ = stopped => {}
        }
        Ok(())
    })
}

async fn accept(listener: &TcpListener, state: &Arc<State>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(state)));
        }
    }
}

/// One request, one answer. A client that leaves early is no error.
async fn answer(mut stream: TcpStream, state: Arc<State>) {
    let mut request = [0; 1024];
    let Ok(length) = stream.read(&mut request).await else { return };
    let line = String::from_utf8_lossy(&request[..length]);
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = match path.as_str() {
        "/healthz" => head(200, ""),
        "/load" => head(200, &format!("endpoint-load-metrics: {}\r\n", state.report(clock::now()))),
        _ if state.failing.load(Ordering::Relaxed) => head(503, ""),
        _ => {
            if state.waiting.fetch_add(1, Ordering::Relaxed) >= state.service.line {
                state.waiting.fetch_sub(1, Ordering::Relaxed);
                let _ = stream.write_all(head(503, "").as_bytes()).await;
                return;
            }
            let turn = state.turns.acquire().await;
            state.waiting.fetch_sub(1, Ordering::Relaxed);
            let Ok(turn) = turn else { return };
            state.occupy(1.0, clock::now());
            tokio::time::sleep(state.service_time(clock::now())).await;
            state.occupy(-1.0, clock::now());
            drop(turn);
            state.served.fetch_add(1, Ordering::Relaxed);
            head(200, &format!("X-Backend: {}\r\n", state.name))
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn head(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

impl State {
    fn service_time(&self, now: Instant) -> Duration {
        let times = self.random.lock().unwrap_or_else(PoisonError::into_inner).exponential();
        let age = now.saturating_duration_since(self.started).as_secs_f64();
        let Service { mean, cold, warms_over, .. } = self.service;
        let cold = 1.0 + (cold - 1.0) * (-age / warms_over.as_secs_f64()).exp();
        let slowness = f64::from(self.slowness.load(Ordering::Relaxed)) / 1000.0;
        mean.mul_f64(times * cold * slowness)
    }

    /// A worker begins (1) or ends (−1) a request.
    fn occupy(&self, change: f64, now: Instant) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.advance(now);
        busy.workers += change;
        if change < 0.0 {
            busy.rate += 1.0 / REPORTED_OVER.as_secs_f64();
        }
    }

    fn report(&self, now: Instant) -> String {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.advance(now);
        let utilization = (busy.mean_workers / f64::from(self.service.workers)).min(1.0);
        let age = (self.service.age + now.saturating_duration_since(self.started)).as_secs_f64();
        format!(
            "TEXT application_utilization={utilization:.4}, rps_fractional={:.3}, eps=0, \
             named_metrics.uptime_seconds={age:.3}",
            busy.rate
        )
    }
}

impl Busy {
    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        let keep = (-elapsed / REPORTED_OVER.as_secs_f64()).exp();
        self.mean_workers = self.workers + (self.mean_workers - self.workers) * keep;
        self.rate *= keep;
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_averages_what_the_workers_did() {
        let start = clock::now();
        let mut busy = Busy { at: start, workers: 2.0, mean_workers: 0.0, rate: 5.0 };
        busy.advance(start + REPORTED_OVER);
        assert!((busy.mean_workers - 2.0 * (1.0 - (-1f64).exp())).abs() < 1e-9);
        assert!((busy.rate - 5.0 * (-1f64).exp()).abs() < 1e-9);
        busy.advance(start + 20 * REPORTED_OVER);
        assert!((busy.mean_workers - 2.0).abs() < 1e-6 && busy.rate < 1e-6);
    }
}
