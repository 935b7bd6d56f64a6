use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use super::sockets::{SocketError, Sockets};
use super::tls::{Refreshed, TlsContext, TlsError};
use super::worker::{Door, Shared, Way, WorkerThread};
use super::{Counts, Handler};
use crate::config::gateway::{Gateway, Listener};

/// How often a drain looks whether it is over, and how often it says what is left.
const LOOK: Duration = Duration::from_millis(20);
const TELL: Duration = Duration::from_secs(2);

/// All listeners and the threads that serve them.
pub struct Server {
    shared: Arc<Shared>,
    workers: Mutex<Vec<WorkerThread>>,
    threads: usize,
    doors: Mutex<Vec<OpenDoor>>,
}

struct OpenDoor {
    door: Arc<Door>,
    sockets: Vec<Arc<TcpListener>>,
}

/// Why the server does not start, or goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened at.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Certificates or keys cannot be used.
    #[error("listener {listener}: {error}")]
    Tls {
        /// Its name.
        listener: String,
        /// What is wrong.
        error: TlsError,
    },
    /// A thread or its event loop cannot be made.
    #[error(
        "cannot start worker thread {index}: {error}; raise the limits of processes and open files, or lower \
         gateway.threads"
    )]
    Thread {
        /// Which.
        index: usize,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The server has been told to end.
    #[error("the gateway is about to end: no configuration is taken any more")]
    Ending,
}

impl Server {
    /// Listens, and serves from now on. `make_handler` is called once for each worker, within its event loop.
    ///
    /// # Errors
    /// If an address cannot be listened at, a certificate cannot be used or a thread not be made: nothing runs then.
    pub fn start<H: Handler>(
        listeners: &[Listener],
        gateway: &Gateway,
        sockets: Sockets,
        make_handler: impl Fn(usize) -> H,
    ) -> Result<Self, ServeError> {
        let threads = match gateway.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads.into(),
        };
        let doors = open(listeners, &[], sockets, threads)?;
        let shared = Shared::new(Settings::new(gateway));
        let mut workers = Vec::with_capacity(threads);
        for index in 0..threads {
            let worker = WorkerThread::start(index, shared.clone(), || make_handler(index))
                .map_err(|error| ServeError::Thread { index, error })?;
            workers.push(worker);
        }
        for door in &doors {
            admit(door, &workers);
        }
        Ok(Self { shared, workers: Mutex::new(workers), threads, doors: Mutex::new(doors) })
    }

    /// Takes other listeners and limits. Listeners are told apart by their address: one that stays keeps its sockets
    /// and connections; one that goes takes in what is in its queue already, and its connections go on. The number
    /// of threads stays.
    ///
    /// # Errors
    /// As for [`Self::start`]; all is as before then.
    pub fn reload(&self, listeners: &[Listener], gateway: &Gateway) -> Result<(), ServeError> {
        let mut doors = lock(&self.doors);
        if self.shared.is_draining() {
            return Err(ServeError::Ending);
        }
        if gateway.threads != 0 && usize::from(gateway.threads) != self.threads {
            tracing::warn!(
                threads = self.threads,
                configured = gateway.threads,
                "gateway.threads takes effect with the next start"
            );
        }
        let ways = ways(listeners, &doors)?;
        let all: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
        let mut opened = Vec::new();
        for listener in listeners.iter().filter(|listener| find(&doors, listener).is_none()) {
            let sockets = Sockets::none().take(&listener.name, listener.address, self.threads, &all)?;
            opened.push((listener.address, sockets));
        }

        // From here on nothing can fail.
        let settings = Settings::new(gateway);
        self.shared.slots.resize(settings.limits.connections);
        self.shared.settings.store(Arc::new(settings));
        let workers = lock(&self.workers);
        let mut next = Vec::with_capacity(listeners.len());
        for (listener, way) in listeners.iter().zip(ways) {
            let kept = find(&doors, listener).map(|index| doors.swap_remove(index));
            next.push(match kept {
                Some(kept) => {
                    kept.door.way.store(Arc::new(way));
                    kept
                }
                None => {
                    let index = opened.iter().position(|(address, _)| *address == listener.address);
                    let sockets = index.map(|index| opened.swap_remove(index).1).unwrap_or_default();
                    let door = open_door(listener, way, sockets);
                    tracing::info!(listener = %listener.name, address = %door.door.address, "listener added");
                    admit(&door, &workers);
                    door
                }
            });
        }
        for gone in std::mem::replace(&mut *doors, next) {
            tracing::info!(listener = %gone.door.name(), address = %gone.door.address, "listener removed");
            gone.door.closed.cancel();
        }
        Ok(())
    }

    /// Reads certificates again whose files have changed, each by itself. One that cannot be used is logged, and stays as
    /// it was. Reads files: not for a worker's thread.
    pub fn refresh_certificates(&self) {
        for open in &*lock(&self.doors) {
            let way = open.door.way.load();
            let Some(tls) = &way.tls else { continue };
            let Refreshed { context, read, errors } = tls.refresh(wall_clock());
            for error in errors {
                tracing::error!(listener = %way.name, %error, "what was read before stays in force");
            }
            if read > 0 {
                tracing::info!(listener = %way.name, files = read, "certificates read again");
            }
            if let Some(context) = context {
                let Way { proxy_protocol, http2, .. } = **way;
                let (name, tls) = (way.name.clone(), Some(Arc::new(context)));
                open.door.way.store(Arc::new(Way { name, proxy_protocol, http2, tls }));
            }
        }
    }

    /// What happened to connections so far.
    pub fn connections(&self) -> Counts {
        self.shared.counters.read(self.shared.slots.open())
    }

    /// Each listener's name and where it listens: the port, too, where the configuration leaves that open.
    pub fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        lock(&self.doors).iter().map(|open| (open.door.name(), open.door.address)).collect()
    }

    /// All listening sockets, for a successor.
    pub(super) fn sockets(&self) -> Vec<(Arc<str>, SocketAddr, Vec<Arc<TcpListener>>)> {
        let doors = lock(&self.doors);
        doors.iter().map(|open| (open.door.name(), open.door.address, open.sockets.clone())).collect()
    }

    /// From now on each connection ends after its present or next request, and new ones are taken all the same.
    pub fn farewell(&self) {
        self.shared.begin_drain();
    }

    /// Takes no more connections, lets requests in flight end for so long, cuts the rest, and ends the threads.
    ///
    /// Connections at rest are closed, others after their present request; such as were upgraded have the whole time.
    pub async fn drain(&self, allowed: Duration) {
        for open in lock(&self.doors).drain(..) {
            open.door.closed.cancel();
        }
        self.shared.begin_drain();
        let begun = Instant::now();
        let mut told = begun;
        let left = || (self.shared.slots.open(), self.shared.accepting.load(Relaxed));
        tracing::info!(
            connections = left().0,
            "draining for at most {}",
            humantime::format_duration(allowed)
        );
        while left() != (0, 0) && begun.elapsed() < allowed {
            tokio::time::sleep(LOOK.min(allowed)).await;
            if told.elapsed() >= TELL {
                told = Instant::now();
                tracing::info!(connections = left().0, "still draining");
            }
        }
        match left().0 {
            0 => tracing::info!("all connections have ended"),
            connections => tracing::warn!(connections, "time is over: the rest is cut"),
        }
        let workers = std::mem::take(&mut *lock(&self.workers));
        for worker in &workers {
            worker.stop();
        }
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(WorkerThread::join));
        let _ = joined.await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for worker in &*lock(&self.workers) {
            worker.stop();
        }
    }
}

fn open(
    listeners: &[Listener],
    before: &[OpenDoor],
    mut sockets: Sockets,
    threads: usize,
) -> Result<Vec<OpenDoor>, ServeError> {
    let all: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
    let mut doors = Vec::with_capacity(listeners.len());
    for (listener, way) in listeners.iter().zip(ways(listeners, before)?) {
        let sockets = sockets.take(&listener.name, listener.address, threads, &all)?;
        doors.push(open_door(listener, way, sockets));
    }
    for address in sockets.left() {
        tracing::info!(%address, "a socket was handed over that no listener is for: it is closed");
    }
    Ok(doors)
}

/// How connections begin at each; what it was before hands on its secrets of sessions.
fn ways(listeners: &[Listener], doors: &[OpenDoor]) -> Result<Vec<Way>, ServeError> {
    let way = |listener: &Listener| {
        let before = find(doors, listener).map(|index| doors[index].door.way.load_full());
        let before = before.as_ref().and_then(|way| way.tls.as_deref());
        let load = |tls| TlsContext::load(tls, listener.http2, wall_clock(), before);
        let tls = listener.tls.as_ref().map(load).transpose();
        let tls = tls.map_err(|error| ServeError::Tls { listener: listener.name.clone(), error })?;
        let (proxy_protocol, http2) = (listener.proxy_protocol, listener.http2);
        Ok(Way { name: listener.name.as_str().into(), proxy_protocol, http2, tls: tls.map(Arc::new) })
    };
    listeners.iter().map(way).collect()
}

fn find(doors: &[OpenDoor], listener: &Listener) -> Option<usize> {
    doors.iter().position(|open| open.door.configured == listener.address)
}

fn open_door(listener: &Listener, way: Way, sockets: Vec<TcpListener>) -> OpenDoor {
    let address = sockets.first().and_then(|socket| socket.local_addr().ok());
    let door = Arc::new(Door {
        configured: listener.address,
        address: address.unwrap_or(listener.address),
        way: ArcSwap::from_pointee(way),
        closed: CancellationToken::new(),
    });
    OpenDoor { door, sockets: sockets.into_iter().map(Arc::new).collect() }
}

/// Each socket has one worker. There may be more sockets than workers, when a predecessor had more of these.
fn admit(open: &OpenDoor, workers: &[WorkerThread]) {
    for (socket, worker) in open.sockets.iter().zip(workers.iter().cycle()) {
        worker.accept(open.door.clone(), socket.clone());
    }
}

/// Certificates have dates: this is the edge that reads the calendar for them.
#[expect(clippy::disallowed_methods, reason = "the edge")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
