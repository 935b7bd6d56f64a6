//! One task for each backend that is asked for reports: spread over time, with a bounded number of sockets at once.

mod pace;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use xdp_lb_common::ids::BackendId;

use super::client::{self, Limit, orca_grpc};
use super::refuse::no;
use crate::config::{Utilization, UtilizationKind};
use crate::control::{Event, NoReport, NoReportKind, Report};
use pace::Backoff;

/// Messages of a stream within one interval; a server that sends more does not stop by itself.
const MOST_MESSAGES: u32 = 16;

/// Everybody who is asked. Nobody any more when it is dropped.
#[derive(Debug)]
pub struct Reports {
    events: mpsc::Sender<Event>,
    /// For exchanges that end by themselves: more wait for their turn.
    turns: Arc<Semaphore>,
    /// For streams, which do not end: more than there is room for are refused.
    streams: Arc<Semaphore>,
    tasks: HashMap<BackendId, JoinHandle<()>>,
}

impl Reports {
    /// Each exchange and each stream holds a socket, `sockets` of them at most. Outcomes come as `events`.
    pub fn new(events: mpsc::Sender<Event>, sockets: usize) -> Self {
        let half = (sockets / 2).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            events,
            turns: Arc::new(Semaphore::new(half)),
            streams: Arc::new(Semaphore::new(half)),
            tasks: HashMap::new(),
        }
    }

    /// Asks `backend` at `address` from now on, as `utilization` says; no longer as it was told before. To be called
    /// on a tokio runtime.
    pub fn watch(&mut self, backend: BackendId, address: IpAddr, utilization: Utilization) {
        self.unwatch(backend);
        let kind = utilization.kind.clone();
        let watch = Watch { backend, address, utilization, events: self.events.clone() };
        let task = match kind {
            UtilizationKind::None => return,
            UtilizationKind::AgentCheck { .. } | UtilizationKind::OrcaHttp { .. } => {
                tokio::spawn(watch.poll(Arc::clone(&self.turns)))
            }
            UtilizationKind::OrcaGrpc { port } => {
                tokio::spawn(watch.follow(SocketAddr::new(address, port), Arc::clone(&self.streams)))
            }
        };
        self.tasks.insert(backend, task);
    }

    /// No longer asks `backend`. What it said before may still be on its way.
    pub fn unwatch(&mut self, backend: BackendId) {
        if let Some(task) = self.tasks.remove(&backend) {
            task.abort();
        }
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

/// Nobody receives any more: the agent's loop has ended.
struct Ended;

struct Watch {
    backend: BackendId,
    address: IpAddr,
    utilization: Utilization,
    events: mpsc::Sender<Event>,
}

impl Watch {
    async fn tell(&self, report: Result<Report, NoReport>) -> Result<(), Ended> {
        let event = Event::Reported { backend: self.backend, address: self.address, report };
        self.events.send(event).await.map_err(|_| Ended)
    }

    /// Asks once every interval.
    async fn poll(self, turns: Arc<Semaphore>) {
        let interval = self.utilization.interval;
        sleep(pace::phase(interval)).await;
        loop {
            let began = Instant::now();
            let Ok(turn) = turns.acquire().await else { return };
            let report = client::ask(self.address, &self.utilization).await;
            drop(turn);
            if self.tell(report).await.is_err() {
                return;
            }
            sleep_until(began + pace::jittered(interval)).await;
        }
    }

    /// Keeps a stream open.
    async fn follow(self, address: SocketAddr, streams: Arc<Semaphore>) {
        let mut backoff = Backoff::new(self.utilization.interval);
        sleep(pace::phase(self.utilization.interval)).await;
        loop {
            let refusal = match streams.try_acquire() {
                Ok(_place) => match self.session(address, &mut backoff).await {
                    Ok(refusal) => refusal,
                    Err(Ended) => return,
                },
                Err(_) => {
                    let detail = "no file is free for another stream: raise the agent's limit of open files";
                    no(NoReportKind::Unreachable, detail)
                }
            };
            if self.tell(Err(refusal)).await.is_err() {
                return;
            }
            sleep(backoff.next()).await;
        }
    }

    /// One connection, from its beginning to the reason of its end.
    async fn session(&self, address: SocketAddr, backoff: &mut Backoff) -> Result<NoReport, Ended> {
        let Utilization { interval, timeout: limit, .. } = self.utilization;
        let mut stream = match orca_grpc::open(address, interval, &Limit::starting_now(limit)).await {
            Ok(stream) => stream,
            Err(refusal) => return Ok(refusal),
        };
        let patience = interval + interval / 2 + limit;
        let mut told: Option<Instant> = None;
        let mut counted = (Instant::now(), 0);
        loop {
            let report = match timeout(patience, stream.next()).await {
                Ok(Ok(report)) => report,
                Ok(Err(refusal)) => return Ok(refusal),
                // The connection is there, or its pings would have ended it: the server has its reasons.
                Err(_) => {
                    self.tell(Err(silent(patience))).await?;
                    continue;
                }
            };
            if counted.0.elapsed() >= interval {
                counted = (Instant::now(), 0);
            }
            counted.1 += 1;
            if counted.1 > MOST_MESSAGES {
                let interval = humantime::format_duration(interval);
                let detail =
                    format!("more than {MOST_MESSAGES} reports within {interval}: the stream was ended");
                return Ok(no(NoReportKind::TooLong, detail));
            }
            if report.is_ok() {
                backoff.reset();
            }
            if told.is_none_or(|told| told.elapsed() >= interval / 2) {
                told = Some(Instant::now());
                self.tell(report).await?;
            }
        }
    }
}

fn silent(patience: Duration) -> NoReport {
    let patience = humantime::format_duration(patience);
    let hint = "gRPC's own servers report every 30 s unless their minimum interval is set lower";
    no(NoReportKind::Late, format!("the stream is open, but no report within {patience}; {hint}"))
}

#[cfg(test)]
mod tests;
