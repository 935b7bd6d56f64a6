use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::slots::Slot;
use super::worker::{Door, Worker};
use super::{Handler, connection};

/// Connections accepted in a row before others get their turn.
const IN_A_ROW: usize = 32;

/// How often it is said that there is no room.
const SAY: Duration = Duration::from_secs(10);

/// How long nothing is accepted after the machine had no room for it.
const BREATHER: Duration = Duration::from_millis(100);

/// Accepts at one socket of a listener until that is closed; then what is in its queue already, and no more.
pub(super) async fn run<H: Handler>(door: Arc<Door>, socket: Arc<TcpListener>, worker: Arc<Worker<H>>) {
    let _leave = Leave(&worker);
    let socket = match watch(&socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = %door.name(), address = %door.address, %error, "cannot wait for connections");
            return;
        }
    };
    tokio::select! {
        biased;
        () = door.closed.cancelled() => {}
        () = welcome(&door, &socket, &worker) => {}
    }
    // Their handshake is done: to close the socket now would reset them.
    while let Ok(accepted) = accept(&socket) {
        let slot = worker.shared.slots.force();
        begin(&door, &worker, accepted, slot);
    }
}

struct Leave<'a, H>(&'a Worker<H>);

impl<H> Drop for Leave<'_, H> {
    fn drop(&mut self) {
        self.0.shared.accepting.fetch_sub(1, Relaxed);
    }
}

async fn welcome<H: Handler>(door: &Arc<Door>, socket: &TcpStream, worker: &Arc<Worker<H>>) {
    let mut said: Option<Instant> = None;
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        for _ in 0..IN_A_ROW {
            let slot = worker.shared.slots.take().await;
            match socket.try_io(Interest::READABLE, || accept(socket)) {
                Ok(accepted) => begin(door, worker, accepted, slot),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    drop(slot);
                    worker.shared.counters.accept_errors.add();
                    if said.is_none_or(|said| said.elapsed() >= SAY) {
                        said = Some(Instant::now());
                        tracing::warn!(
                            listener = %door.name(), %error,
                            "cannot accept a connection: raise the limit of open files (LimitNOFILE=), or lower \
                             gateway.limits.connections"
                        );
                    }
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

/// For tokio a stream, as its listener only tells of a connection by accepting it, and a slot has to be had first. The
/// kernel tells of either in the same way.
fn watch(socket: &TcpListener) -> io::Result<TcpStream> {
    TcpStream::from_std(OwnedFd::from(socket.try_clone()?).into())
}

/// Not blocking, and closed on exec, by one system call.
fn accept(socket: &TcpStream) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    let (socket, remote) = acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let remote = remote.and_then(|remote| SocketAddr::try_from(remote).ok());
    let remote = remote.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
    Ok((socket.into(), remote))
}

/// A connection that ended before it was accepted; accept(2) tells of these too.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        PermissionDenied,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
    )
}

fn begin<H: Handler>(
    door: &Arc<Door>,
    worker: &Arc<Worker<H>>,
    (socket, remote): (std::net::TcpStream, SocketAddr),
    slot: Slot,
) {
    worker.shared.counters.accepted.add();
    // An answer leaves when it is written: hyper writes it in few pieces.
    let _ = socket.set_nodelay(true);
    match TcpStream::from_std(socket) {
        Ok(socket) => {
            tokio::spawn(connection::live(worker.clone(), door.clone(), socket, remote, slot));
        }
        Err(error) => tracing::warn!(listener = %door.name(), %error, "cannot wait on a connection"),
    }
}
