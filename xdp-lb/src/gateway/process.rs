//! The process: starts all threads, follows the configuration, hands over to its successor, and ends in good order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::asker::Asker;
use super::handle::Handle;
use super::memory;
use super::observe::{Meters, export};
use super::pages::{Outcomes, Pages};
use super::serve::{ServeError, Server, Sockets, handover};
use super::shed::{Lag, Shedder};
use super::site::{Site, SiteError};
use super::upstream::Worker;
use crate::api::web::{AdminError, AdminServer};
use crate::config::LoadError;
use crate::config::gateway::{GatewayAdmin, GatewayConfig};
use crate::notify::Notifier;

/// How long names of new pools are waited for before requests may go to them.
const FIND: Duration = Duration::from_secs(3);

/// Between two looks at files that are read again when they change.
const LOOK: Duration = Duration::from_secs(2);

/// How long a predecessor may keep the admin address after it has handed over.
const ADMIN_WAIT: Duration = Duration::from_secs(5);

/// How long one may that was told to end, and drains.
const DRAIN_WAIT: Duration = Duration::from_secs(60);

/// How long the last lines of the access log may take to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Something that the configuration names.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Listeners.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The admin address.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Signals.
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
    /// The socket for handing over.
    #[error(
        "cannot use gateway.handover_socket = {path:?}: {reason}; its folder has to be there and writable for this user"
    )]
    Handover {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        reason: std::io::Error,
    },
    /// Sockets of a service manager.
    #[error("cannot take the sockets that LISTEN_FDS tells of: {0}")]
    Systemd(std::io::Error),
}

/// Serves by the file at `path`, which `config` was read from, until a signal or a successor ends it.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(path: PathBuf, config: GatewayConfig) -> Result<(), ProcessError> {
    memory::keep_pages_small();
    let mut signals = Signals::new().map_err(ProcessError::Signals)?;
    let mut process = Process::start(path, config).await?;
    process.follow(&mut signals).await;
    Ok(())
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Ends when a successor has the sockets.
type Successor = std::pin::Pin<Box<dyn Future<Output = ()>>>;

struct Process {
    path: PathBuf,
    site: Arc<ArcSwap<Site>>,
    meters: Arc<Meters>,
    shedder: Arc<Shedder>,
    server: Arc<Server>,
    /// This thread's connections to servers.
    upstream: Arc<Worker>,
    /// What goes on beside requests, of the present configuration.
    background: JoinSet<()>,
    outcomes: Arc<Outcomes>,
    admin: Option<(GatewayAdmin, AdminServer)>,
    offer: Option<handover::Offer>,
    notifier: Notifier,
}

impl Process {
    async fn start(path: PathBuf, config: GatewayConfig) -> Result<Self, ProcessError> {
        let (sockets, predecessor) = sockets(config.gateway.handover_socket.as_deref())?;
        let threads = match config.gateway.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads.into(),
        };
        let meters = Arc::new(Meters::new(threads));
        let site = Site::build(config, None, &meters)?;
        site.pools.find(FIND).await;
        let site = Arc::new(ArcSwap::from_pointee(site));
        let config = Arc::clone(&site.load().config);
        let shedder = Arc::new(Shedder::new(&config.gateway));
        let server = Server::start(&config.listeners, &config.gateway, sockets, |worker| {
            let lag = Arc::new(Lag::default());
            let measured = Arc::clone(&lag);
            tokio::spawn(async move { measured.measure().await });
            let (site, shedder) = (Arc::clone(&site), Arc::clone(&shedder));
            Handle { site, worker, upstream: Worker::new(), shedder, lag }
        })?;
        let mut process = Self {
            path,
            site,
            meters,
            shedder,
            server: Arc::new(server),
            upstream: Worker::new(),
            background: JoinSet::new(),
            outcomes: Arc::default(),
            admin: None,
            offer: None,
            notifier: Notifier::from_environment(),
        };
        process.work();
        match predecessor {
            None => {
                process.offer_sockets()?;
                if let Some(admin) = config.admin.clone() {
                    process.admin = Some(process.open_admin(admin, DRAIN_WAIT).await?);
                }
            }
            Some(predecessor) => process.take_over(predecessor, config.admin.clone()).await,
        }
        for note in config.notes() {
            tracing::warn!("{note}");
        }
        for (name, address) in process.server.addresses() {
            tracing::info!(listener = %name, %address, "listening");
        }
        allow_open_files(config.gateway.limits.connections);
        process.outcomes.ready.store(true, Relaxed);
        process.notifier.ready();
        Ok(process)
    }

    /// Until the end.
    async fn follow(&mut self, signals: &mut Signals) {
        let (offer, server) = (self.offer.take(), Arc::clone(&self.server));
        // One over all reloads: what a successor is told in the middle of one is not forgotten.
        let mut successor: Successor = Box::pin(async move {
            match &offer {
                Some(offer) => offer.successor(&server).await,
                None => std::future::pending().await,
            }
        });
        let mut end = self.serve(signals, &mut successor).await;
        self.notifier.stopping();
        self.outcomes.ready.store(false, Relaxed);
        if let End::Signal = end {
            tracing::info!("a signal ends it");
            end = self.give_notice(signals, &mut successor).await;
        }
        match end {
            End::Successor => {
                tracing::info!("a successor took over");
                // It wants the address.
                self.close_admin().await;
            }
            // Who comes now finds nobody that would hand over anything, and listens by itself.
            End::Signal => drop(successor),
        }
        self.server.drain(self.site.load().config.gateway.drain).await;
        self.close_admin().await;
        self.background.shutdown().await;
        if let Some(tracer) = &self.site.load().observer.tracer {
            export::flush(tracer, &mut false).await;
        }
        if let Some(writer) = &self.site.load().observer.writer {
            writer.finish(LAST_LINES);
        }
    }

    /// Serves, and follows the configuration, until something ends it.
    async fn serve(&mut self, signals: &mut Signals, successor: &mut Successor) -> End {
        loop {
            tokio::select! {
                Some(()) = signals.hangup.recv() => {}
                _ = signals.terminate.recv() => return End::Signal,
                _ = signals.interrupt.recv() => return End::Signal,
                () = &mut *successor => return End::Successor,
            }
            self.reload().await;
        }
    }

    /// Lets connections end as their clients' next requests come, and takes others all the same, while `/readyz` says no:
    /// a balancer in front sends its connections elsewhere before any is refused, and when it does few are left here.
    async fn give_notice(&self, signals: &mut Signals, successor: &mut Successor) -> End {
        let notice = self.site.load().config.gateway.notice;
        if notice.is_zero() {
            return End::Signal;
        }
        tracing::info!("taking connections for another {}", humantime::format_duration(notice));
        self.server.farewell();
        tokio::select! {
            () = tokio::time::sleep(notice) => End::Signal,
            _ = signals.terminate.recv() => End::Signal,
            _ = signals.interrupt.recv() => End::Signal,
            () = &mut *successor => End::Successor,
        }
    }

    async fn close_admin(&mut self) {
        if let Some((_, admin)) = self.admin.take() {
            admin.close().await;
        }
    }

    /// Starts what goes on beside requests, in place of what did.
    fn work(&mut self) {
        self.background = JoinSet::new();
        let site = self.site.load_full();
        let pools = Arc::clone(&site.pools);
        pools.take_over(super::asker::now().0);
        self.background.spawn(pools.run());
        self.background.spawn(memory::give_back());
        let gate = Arc::clone(&site.gate);
        let asker = Asker { pools: Arc::clone(&site.pools), upstream: Arc::clone(&self.upstream) };
        self.background.spawn(async move { gate.run(&asker).await });
        if let Some(tracer) = site.observer.tracer.clone() {
            self.background.spawn(export::run(tracer));
        }
        let (gate, server) = (Arc::clone(&site.gate), Arc::clone(&self.server));
        self.background.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let (gate, server) = (Arc::clone(&gate), Arc::clone(&server));
                let looked = tokio::task::spawn_blocking(move || {
                    for error in gate.refresh_files() {
                        tracing::error!("{error}; what was read before stays in force");
                    }
                    server.refresh_certificates();
                });
                if let Err(error) = looked.await {
                    tracing::error!("files are no longer looked at: {error}");
                    return;
                }
            }
        });
    }

    async fn reload(&mut self) {
        self.notifier.reloading();
        match self.reconfigure().await {
            Ok(()) => {
                self.outcomes.done.fetch_add(1, Relaxed);
                tracing::info!("configuration read again");
            }
            Err(error) => {
                for line in error.lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration stays as it was: correct it and reload again");
                self.outcomes.refused.fetch_add(1, Relaxed);
            }
        }
        self.notifier.ready();
    }

    /// Takes the file's configuration, or says why not; then nothing has changed.
    async fn reconfigure(&mut self) -> Result<(), String> {
        let config = GatewayConfig::load(&self.path).map_err(|error: LoadError| error.to_string())?;
        let before = self.site.load_full();
        let site = Site::build(config, Some(&before), &self.meters).map_err(|error| error.to_string())?;
        let gateway = site.config.gateway.clone();
        site.pools.find(FIND).await;
        let admin = self.admin_for(site.config.admin.as_ref()).await?;
        self.server.reload(&site.config.listeners, &gateway).map_err(|error| error.to_string())?;
        // From here on nothing fails.
        if let Some(writer) = &site.observer.writer
            && let Err(error) = writer.reopen(site.config.log.path.as_deref())
        {
            tracing::error!("{error}; lines go on to where they went");
        }
        if gateway.handover_socket != before.config.gateway.handover_socket {
            tracing::warn!("gateway.handover_socket takes effect with the next start");
        }
        self.shedder.limit(gateway.max_in_flight, gateway.max_lag);
        for note in site.config.notes() {
            tracing::warn!("{note}");
        }
        self.site.store(Arc::new(site));
        self.work();
        match admin {
            Moved::Stays => {}
            Moved::To(admin) => {
                let old = match admin {
                    Some((config, server)) => self.admin.replace((config, self.serve_pages(server))),
                    None => self.admin.take(),
                };
                if let Some((_, old)) = old {
                    old.close().await;
                }
            }
        }
        Ok(())
    }

    async fn admin_for(&self, wanted: Option<&GatewayAdmin>) -> Result<Moved, String> {
        if wanted == self.admin.as_ref().map(|(admin, _)| admin) {
            return Ok(Moved::Stays);
        }
        Ok(Moved::To(match wanted {
            None => None,
            Some(admin) => {
                let server = AdminServer::open(admin.listen).await.map_err(|error| error.to_string())?;
                Some((admin.clone(), server))
            }
        }))
    }

    /// Lets the predecessor go. From then on nobody else serves: nothing that is missing ends this process.
    async fn take_over(&mut self, predecessor: handover::Ready, admin: Option<GatewayAdmin>) {
        announce(predecessor).await;
        if let Err(error) = self.offer_sockets() {
            tracing::error!("{error}; nobody can take over from this process before");
        }
        let Some(admin) = admin else { return };
        match self.open_admin(admin, ADMIN_WAIT).await {
            Ok(admin) => self.admin = Some(admin),
            Err(error) => {
                tracing::error!("{error}; there are no admin pages before a reload that finds it free");
            }
        }
    }

    async fn open_admin(
        &self,
        admin: GatewayAdmin,
        wait: Duration,
    ) -> Result<(GatewayAdmin, AdminServer), ProcessError> {
        let end = tokio::time::Instant::now() + wait;
        let mut told = false;
        loop {
            match AdminServer::open(admin.listen).await {
                Ok(server) => return Ok((admin, self.serve_pages(server))),
                Err(error) if tokio::time::Instant::now() >= end => return Err(error.into()),
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!("{error}; waiting for a predecessor to leave it");
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn serve_pages(&self, mut server: AdminServer) -> AdminServer {
        let pages = Arc::new(Pages {
            site: Arc::clone(&self.site),
            server: Arc::clone(&self.server),
            shedder: Arc::clone(&self.shedder),
            outcomes: Arc::clone(&self.outcomes),
        });
        server.serve(move |path| {
            let pages = Arc::clone(&pages);
            async move { pages.answer(&path) }
        });
        server
    }

    fn offer_sockets(&mut self) -> Result<(), ProcessError> {
        if let Some(path) = &self.site.load().config.gateway.handover_socket {
            let failed = |reason| ProcessError::Handover { path: path.clone(), reason };
            self.offer = Some(handover::offer(path).map_err(failed)?);
        }
        Ok(())
    }
}

/// What ends the process.
enum End {
    Signal,
    Successor,
}

/// What a reload makes of the admin address.
enum Moved {
    Stays,
    To(Option<(GatewayAdmin, AdminServer)>),
}

/// Sockets that others opened: a predecessor or the service manager.
fn sockets(handover_socket: Option<&Path>) -> Result<(Sockets, Option<handover::Ready>), ProcessError> {
    if let Some(path) = handover_socket {
        let failed = |reason| ProcessError::Handover { path: path.to_owned(), reason };
        if let Some((sockets, ready)) = handover::take(path).map_err(failed)? {
            tracing::info!("took the listening sockets over from a predecessor");
            return Ok((sockets, Some(ready)));
        }
    }
    Ok((Sockets::from_systemd().map_err(ProcessError::Systemd)?, None))
}

/// Takes all the open files that this process may have, and tells if connections may run out of them: each may need a
/// second one, to a server.
fn allow_open_files(connections: u32) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
    if let Some(most) = limit.maximum.filter(|most| *most < 2 * u64::from(connections)) {
        tracing::warn!(
            "gateway.limits.connections = {connections} may need twice as many open files, and {most} are allowed: raise \
             the limit (LimitNOFILE of its unit, ulimit -n), or lower the key"
        );
    }
}

async fn announce(predecessor: handover::Ready) {
    let announced = tokio::task::spawn_blocking(move || predecessor.announce()).await;
    match announced {
        Ok(Ok(())) => tracing::info!("the predecessor leaves"),
        Ok(Err(error)) => tracing::warn!("the predecessor may still serve beside this process: {error}"),
        Err(error) => tracing::warn!("the predecessor was not told: {error}"),
    }
}
