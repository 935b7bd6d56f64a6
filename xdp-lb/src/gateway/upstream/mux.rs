//! A connection of HTTP/2 to a server: many requests at a time. It runs in a task of its own.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;

use super::connector::Kind;
use super::outgoing::Outgoing;
use super::stream::Stream;

/// What one answer may have under way: what a client that takes nothing makes the gateway hold.
const STREAM_WINDOW: u32 = 256 << 10;
/// Of all answers together: the most there is, so that clients which take nothing of theirs do not use up what the others
/// need. Each is bounded by its own.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
const HEADER_BYTES: u32 = super::link::HEAD_BYTES as u32;
/// A connection on which nothing came for so long is asked whether it is there, and given up after as long again.
const ALIVE: Duration = Duration::from_secs(20);

/// Streams allowed until the server says how many: a number that none says.
const UNTOLD: usize = 97;
/// How long a server may take to say so.
const SETTINGS: Duration = Duration::from_secs(1);

pub(super) struct Mux {
    sender: SendRequest<Outgoing>,
    load: Arc<Load>,
    pub(super) kind: Kind,
    pub(super) keep: Duration,
    /// Since when no stream is open, as far as was noticed.
    pub(super) idle_since: Option<Instant>,
}

#[derive(Debug)]
struct Load {
    streams: AtomicUsize,
    /// What the server allows.
    most: AtomicUsize,
    used: AtomicBool,
    /// Asks the connection what the server allows.
    look: Notify,
    /// No further request goes over it.
    spent: AtomicBool,
}

/// A stream of a connection.
pub(super) struct Ticket {
    pub(super) sender: SendRequest<Outgoing>,
    load: Arc<Load>,
    /// Whether the connection had served before.
    pub(super) reused: bool,
}

impl Ticket {
    /// The connection as a whole has failed or is about to end.
    pub(super) fn spend(&self) {
        self.load.spent.store(true, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mux {
    pub(super) async fn open(stream: Stream, kind: Kind, keep: Duration) -> Result<Self, hyper::Error> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNTOLD)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_BYTES)
            .keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .handshake(TokioIo::new(stream))
            .await?;
        let most = AtomicUsize::new(connection.current_max_send_streams());
        let load = Arc::new(Load {
            streams: AtomicUsize::new(0),
            most,
            used: AtomicBool::new(false),
            look: Notify::new(),
            spent: AtomicBool::new(false),
        });
        let told = Arc::clone(&load);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            loop {
                tokio::select! {
                    biased;
                    // How it ends is told to each stream.
                    _ = connection.as_mut() => return,
                    () = told.look.notified() => {
                        told.most.store(connection.current_max_send_streams(), Ordering::Relaxed);
                    }
                }
            }
        });
        let mux = Self { sender, load, kind, keep, idle_since: None };
        mux.wait_for_settings().await;
        Ok(mux)
    }

    /// Streams beyond what the server allows would be refused, so its settings, which are the first it says, are waited
    /// for. hyper does not tell of them: it is asked again and again, for a connection's first moments.
    async fn wait_for_settings(&self) {
        let limit = tokio::time::Instant::now() + SETTINGS;
        let mut pause = Duration::from_micros(50);
        while self.load.most.load(Ordering::Relaxed) == UNTOLD
            && !self.sender.is_closed()
            && tokio::time::Instant::now() < limit
        {
            self.load.look.notify_one();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// A stream, unless as many are open as the server allows.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        let (streams, most) = (&self.load.streams, self.load.most.load(Ordering::Relaxed));
        // One worker alone takes tickets, under its lock.
        if self.is_over() || streams.load(Ordering::Relaxed) >= most {
            return None;
        }
        streams.fetch_add(1, Ordering::Relaxed);
        let reused = self.load.used.swap(true, Ordering::Relaxed);
        Some(Ticket { sender: self.sender.clone(), load: Arc::clone(&self.load), reused })
    }

    fn is_over(&self) -> bool {
        self.sender.is_closed() || self.load.spent.load(Ordering::Relaxed)
    }

    /// Whether it may go: closed, or without a stream for longer than it is kept.
    pub(super) fn is_stale(&mut self, now: Instant) -> bool {
        if self.load.streams.load(Ordering::Relaxed) > 0 {
            self.idle_since = None;
            return self.is_over();
        }
        let since = *self.idle_since.get_or_insert(now);
        self.is_over() || now.saturating_duration_since(since) >= self.keep
    }
}
