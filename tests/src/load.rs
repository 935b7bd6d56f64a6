//! New connections, one after the other and without end, and what became of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::netns::Handle;
use crate::wait::wait_until;
use crate::{client, clock};

/// How long a request may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(3);

/// One request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it began.
    pub began: Instant,
    /// When it was answered, or given up.
    pub ended: Instant,
    /// Who answered, or what went wrong.
    pub outcome: Result<String, String>,
}

/// Threads that make one request each after the other, until dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    answers: Mutex<Vec<Answer>>,
}

impl Load {
    /// Starts `threads` threads in the namespace `from` that ask the web server at `server` for its name, each with
    /// `pause` between two requests.
    pub fn start(from: &Handle, server: SocketAddr, threads: usize, pause: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..threads).map(|_| {
            let (from, shared) = (from.clone(), Arc::clone(&shared));
            thread::spawn(move || shared.ask(&from, server, pause))
        });
        Self { threads: threads.collect(), shared }
    }

    /// The answers from number `first` on.
    pub fn answers_since(&self, first: usize) -> Vec<Answer> {
        self.shared.lock().get(first..).unwrap_or_default().to_vec()
    }

    /// How many answers there are.
    pub fn count(&self) -> usize {
        self.shared.lock().len()
    }

    /// Waits until `more` further requests have ended.
    pub fn wait_more(&self, more: usize) -> Result<()> {
        let goal = self.count() + more;
        let what = format!("{more} more requests ended");
        wait_until(Duration::from_secs(30), &what, || (self.count() >= goal).then_some(()))
    }

    /// Ends it and gives all answers.
    pub fn stop(mut self) -> Vec<Answer> {
        self.end();
        std::mem::take(&mut *self.shared.lock())
    }

    fn end(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, from: &Handle, server: SocketAddr, pause: Duration) {
        let entered = from.enter();
        while !self.stopping.load(Ordering::Relaxed) {
            let began = clock::now();
            let outcome = match &entered {
                Ok(()) => client::name_of(server, TIMEOUT).map_err(|error| error.to_string()),
                Err(error) => Err(format!("{error:#}")),
            };
            self.lock().push(Answer { began, ended: clock::now(), outcome });
            thread::sleep(pause);
        }
    }
}

/// Answers by server.
pub fn by_server(answers: &[Answer]) -> BTreeMap<&str, usize> {
    let mut servers = BTreeMap::new();
    for name in answers.iter().filter_map(|answer| answer.outcome.as_deref().ok()) {
        *servers.entry(name).or_default() += 1;
    }
    servers
}

/// Why requests failed.
pub fn failures(answers: &[Answer]) -> Vec<&str> {
    answers.iter().filter_map(|answer| answer.outcome.as_ref().err().map(String::as_str)).collect()
}
