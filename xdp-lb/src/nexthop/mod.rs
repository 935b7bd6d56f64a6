//! Which interface and MAC address lead to a backend, from netlink route and neighbour events. Decides nothing else.
//!
//! `tables` holds what the kernel told and `resolve`s an address against it, `core`
//! keeps the watched addresses and says what to look up, to ask and to tell: both pure. `kernel` speaks netlink,
//! `message` reads it, `watch` is the task that joins them.

mod core;
mod kernel;
mod message;
mod tables;
mod watch;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::Event;

/// Keeps telling the way to each watched address. Ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Request {
    Watch(IpAddr),
    Unwatch(IpAddr),
}

impl Watcher {
    /// Starts a task on the current tokio runtime that sends [`Event::NextHop`] for every watched address, whenever
    /// the way to it has changed. It looks at the network namespace of the thread that polls it.
    pub fn start(events: mpsc::Sender<Event>) -> Self {
        let (requests, received) = mpsc::unbounded_channel();
        Self { requests, task: tokio::spawn(watch::run(received, events)) }
    }

    /// Begins to tell the way to `address`. An address that is watched already is told once more.
    pub fn watch(&self, address: IpAddr) {
        // The task ends only when this handle is gone, so somebody receives.
        let _ = self.requests.send(Request::Watch(address));
    }

    /// Says nothing of `address` any more.
    pub fn unwatch(&self, address: IpAddr) {
        let _ = self.requests.send(Request::Unwatch(address));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
