//! Health checks as tasks of their own, a bounded number at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use xdp_lb_common::ids::BackendId;

use crate::config::HealthKind;
use crate::control::Event;
use crate::probe::Prober;

#[derive(Debug)]
pub(super) struct Probes {
    turns: Arc<Semaphore>,
    prober: Arc<Prober>,
    events: mpsc::Sender<Event>,
}

impl Probes {
    /// Each check holds a socket, `at_once` of them at most. More wait for their turn; their time limit begins with it.
    pub(super) fn new(events: mpsc::Sender<Event>, at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), prober: Arc::default(), events }
    }

    /// Checks the backend once, by packets that bear `mark` where one is given; the outcome comes as an event.
    pub(super) fn start(
        &self,
        backend: BackendId,
        address: IpAddr,
        mark: Option<u32>,
        kind: HealthKind,
        timeout: Duration,
    ) {
        let turns = Arc::clone(&self.turns);
        let prober = Arc::clone(&self.prober);
        let events = self.events.clone();
        tokio::spawn(async move {
            let turn = turns.acquire_owned().await;
            let outcome = prober.probe(address, mark, &kind, timeout).await;
            drop(turn);
            // The loop has ended when nobody receives.
            let _ = events.send(Event::Probed { backend, outcome }).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::files;
    use super::*;

    #[tokio::test]
    async fn many_dead_backends_do_not_delay_a_live_one() {
        let (sender, mut events) = mpsc::channel(16);
        let probes = Probes::new(sender, files::for_checks());
        // Connections are taken by the kernel, requests are never answered.
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = |listener: &TcpListener| HealthKind::Http {
            port: listener.local_addr().unwrap().port(),
            path: "/".into(),
            host: "test".into(),
            expect: 200..=399,
            body: None,
            tls: None,
        };
        let loopback = IpAddr::from([127, 0, 0, 1]);
        for id in 2..402 {
            let backend = BackendId::new(id).unwrap();
            probes.start(backend, loopback, None, http(&dead), Duration::from_secs(30));
        }
        let first = BackendId::new(1).unwrap();
        let kind = HealthKind::Tcp { port: live.local_addr().unwrap().port() };
        probes.start(first, loopback, None, kind, Duration::from_secs(30));
        let event = tokio::time::timeout(Duration::from_secs(5), events.recv()).await.expect("it waits");
        assert!(
            matches!(event, Some(Event::Probed { backend, outcome: Ok(()) }) if backend == first),
            "{event:?}"
        );
    }
}
