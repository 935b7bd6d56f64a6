use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use super::settings::Settings;
use super::slots::Slots;
use super::tls::TlsContext;
use super::{Handler, accept};

/// What all workers look at.
pub(super) struct Shared {
    pub(super) settings: ArcSwap<Settings>,
    pub(super) slots: Arc<Slots>,
    pub(super) counters: Counters,
    /// Wakes up who is parked.
    pub(super) drain: CancellationToken,
    draining: AtomicBool,
    /// Doors that connections still come in at, one for each worker and listener.
    pub(super) accepting: AtomicUsize,
}

/// A listener, as its acceptors see it.
pub(super) struct Door {
    /// What the configuration has for an address; its port may be 0.
    pub(super) configured: SocketAddr,
    pub(super) address: SocketAddr,
    pub(super) way: ArcSwap<Way>,
    pub(super) closed: CancellationToken,
}

/// How connections of a listener begin.
pub(super) struct Way {
    pub(super) name: Arc<str>,
    pub(super) proxy_protocol: bool,
    pub(super) http2: bool,
    pub(super) tls: Option<Arc<TlsContext>>,
}

/// A thread with an event loop, as its connections see it.
pub(super) struct Worker<H> {
    pub(super) handler: H,
    pub(super) shared: Arc<Shared>,
}

/// A worker, as the server sees it.
pub(super) struct WorkerThread {
    orders: UnboundedSender<Order>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

enum Order {
    Accept(Arc<Door>, Arc<TcpListener>),
    Stop,
}

impl Door {
    pub(super) fn name(&self) -> Arc<str> {
        self.way.load().name.clone()
    }
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            slots: Slots::new(settings.limits.connections),
            settings: ArcSwap::from_pointee(settings),
            counters: Counters::default(),
            drain: CancellationToken::new(),
            draining: AtomicBool::new(false),
            accepting: AtomicUsize::new(0),
        })
    }

    /// Whether connections are to end once their requests in flight have.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(super) fn begin_drain(&self) {
        self.draining.store(true, Relaxed);
        self.drain.cancel();
    }
}

impl WorkerThread {
    /// Starts one. The handler is made within its event loop, so that it may spawn what it needs there.
    pub(super) fn start<H: Handler>(
        index: usize,
        shared: Arc<Shared>,
        make_handler: impl FnOnce() -> H,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handler = {
            let _within = runtime.enter();
            make_handler()
        };
        let worker = Arc::new(Worker { handler, shared: shared.clone() });
        let (orders, received) = unbounded_channel();
        let thread = std::thread::Builder::new().name(format!("gateway-{index}")).spawn(move || {
            runtime.block_on(obey(received, worker));
            // Whatever did not end in time ends here; nothing that still runs elsewhere is waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { orders, shared, thread })
    }

    pub(super) fn accept(&self, door: Arc<Door>, socket: Arc<TcpListener>) {
        self.shared.accepting.fetch_add(1, Relaxed);
        // One that has ended has no connections to take either.
        let _ = self.orders.send(Order::Accept(door, socket));
    }

    pub(super) fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
    }

    /// Waits until it has ended.
    pub(super) fn join(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("a worker thread of the gateway has panicked");
        }
    }
}

async fn obey<H: Handler>(mut orders: UnboundedReceiver<Order>, worker: Arc<Worker<H>>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Accept(door, socket) => {
                tokio::spawn(accept::run(door, socket, worker.clone()));
            }
            Order::Stop => return,
        }
    }
}
