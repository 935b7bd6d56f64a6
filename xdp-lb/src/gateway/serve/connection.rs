use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::http1::Next;
use super::slots::Slot;
use super::stream::Stream;
use super::worker::{Door, Worker};
use super::{Handler, http1, http2, linger, proxy_protocol, tls};
use crate::gateway::Peer;

/// RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection that has not asked for anything yet may take to, once the process is about to end.
const LAST_CALL: Duration = Duration::from_secs(2);

/// One connection, as all of its requests see it.
pub(super) struct Connection<H> {
    pub(super) worker: Arc<Worker<H>>,
    pub(super) peer: Arc<Peer>,
    pub(super) activity: Arc<Activity>,
}

/// The whole life of a connection.
pub(super) async fn live<H: Handler>(
    worker: Arc<Worker<H>>,
    door: Arc<Door>,
    socket: TcpStream,
    remote: SocketAddr,
    slot: Slot,
) {
    let accepted = Instant::now();
    let header_timeout = worker.shared.settings.load().limits.header_timeout;
    // In a box of its own, as what comes later needs far less room and lasts longer.
    let until = accepted + header_timeout;
    let arrived = timeout_at(until, Box::pin(arrive(&worker, &door, socket, remote, slot))).await;
    let (stream, peer, http2) = match arrived {
        Ok(Some(arrived)) => arrived,
        Ok(None) => return,
        Err(_) => {
            let way = door.way.load();
            let counters = &worker.shared.counters;
            let counter =
                if way.tls.is_some() { &counters.handshakes_failed } else { &counters.proxy_errors };
            counter.add();
            tracing::debug!(listener = %door.name(), %remote, "the handshake took longer than limits.header_timeout");
            return;
        }
    };
    if !wait(&stream, until, LAST_CALL, &worker).await {
        return;
    }
    let connection = Arc::new(Connection { worker, peer: Arc::new(peer), activity: Activity::new(accepted) });
    // A task of its own: one keeps the room that the handshake needed for as long as it lives.
    tokio::spawn(talk(stream, http2, header_timeout, connection));
}

/// Whether HTTP/2 is spoken, as far as it is known before the first byte.
#[derive(Clone, Copy)]
enum Http2 {
    Yes,
    No,
    /// The first bytes tell.
    Perhaps,
}

async fn talk<H: Handler>(
    mut stream: Stream,
    http2: Http2,
    header_timeout: Duration,
    connection: Arc<Connection<H>>,
) {
    let speaks_http2 = match http2 {
        Http2::Yes => true,
        Http2::No => false,
        Http2::Perhaps => {
            let until = Instant::now() + header_timeout;
            match timeout_at(until, Box::pin(recognise(stream))).await {
                Ok(Ok((same, speaks_http2))) => {
                    stream = same;
                    speaks_http2
                }
                _ => return,
            }
        }
    };
    if speaks_http2 {
        return Box::pin(http2::serve(stream, &connection)).await;
    }
    // Bytes that are no request, as empty lines or pieces of TLS, do not make it stay longer.
    let (mut requests, mut until) = (0, Instant::now() + header_timeout);
    loop {
        stream = match Box::pin(http1::serve(stream, &connection)).await {
            Next::Gone => return,
            Next::Close(stream) => {
                let ended = connection.activity.has_ended();
                let patience = connection.worker.shared.settings.load().limits.send_timeout;
                return Box::pin(linger::close(stream, ended, patience)).await;
            }
            Next::Park(stream) => stream,
        };
        let shared = &connection.worker.shared;
        if connection.activity.requests() != requests {
            requests = connection.activity.requests();
            until = Instant::now() + shared.settings.load().limits.idle_timeout;
        }
        shared.counters.parked.add();
        let woken = wait(&stream, until, Duration::ZERO, &connection.worker).await;
        shared.counters.parked.remove();
        if !woken {
            let patience = shared.settings.load().limits.send_timeout;
            return Box::pin(linger::close(stream, true, patience)).await;
        }
    }
}

/// PROXY header and handshake. None if either failed.
async fn arrive<H>(
    worker: &Worker<H>,
    door: &Door,
    mut socket: TcpStream,
    remote: SocketAddr,
    slot: Slot,
) -> Option<(Stream, Peer, Http2)> {
    let counters = &worker.shared.counters;
    let way = door.way.load_full();
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let local = socket.local_addr().ok()?;
    let mut ends = (canonical(remote), canonical(local));
    if way.proxy_protocol {
        match proxy_protocol::read(&mut socket).await {
            Ok(told) => ends = told.unwrap_or(ends),
            Err(error) => {
                counters.proxy_errors.add();
                tracing::debug!(listener = %door.name(), %remote, %error, "connection refused");
                return None;
            }
        }
    }
    let (remote, local) = ends;
    let peer = |tls| Peer { listener: way.name.clone(), remote, local, tls };
    let Some(tls) = &way.tls else {
        let http2 = if way.http2 { Http2::Perhaps } else { Http2::No };
        return Some((Stream::plain(socket, slot), peer(None), http2));
    };
    match TlsAcceptor::from(tls.config()).accept(socket).await {
        Ok(socket) => {
            let peer = peer(Some(tls::peer(socket.get_ref().1)));
            let stream = Stream::tls(socket, slot);
            let http2 = if stream.agreed_on_http2() { Http2::Yes } else { Http2::No };
            Some((stream, peer, http2))
        }
        Err(error) => {
            counters.handshakes_failed.add();
            tracing::debug!(listener = %door.name(), %remote, %error, "TLS handshake failed");
            None
        }
    }
}

/// Until there is something to read: whether there is. `grace` is left when the process is about to end.
///
/// One is held by every parked connection, so it is small: one timer for both ends of waiting, and no future of the socket.
async fn wait<H>(stream: &Stream, until: Instant, grace: Duration, worker: &Worker<H>) -> bool {
    let mut drained = pin!(worker.shared.drain.cancelled());
    let mut over = pin!(sleep_until(until));
    let mut is_draining = false;
    poll_fn(|context| {
        if let Poll::Ready(readable) = stream.poll_readable(context) {
            return Poll::Ready(readable.is_ok());
        }
        if !is_draining && drained.as_mut().poll(context).is_ready() {
            is_draining = true;
            over.as_mut().reset(until.min(Instant::now() + grace));
        }
        over.as_mut().poll(context).map(|()| false)
    })
    .await
}

/// Whether a plain connection begins as HTTP/2 does. Nothing is taken from it but what has been compared.
async fn recognise(mut stream: Stream) -> io::Result<(Stream, bool)> {
    let mut seen = [0; PREFACE.len()];
    let count = stream.socket().peek(&mut seen).await?;
    if !PREFACE.starts_with(&seen[..count]) || count == 0 {
        return Ok((stream, false));
    }
    let mut filled = 0;
    while filled < PREFACE.len() && PREFACE.starts_with(&seen[..filled]) {
        let count = stream.read(&mut seen[filled..]).await?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    let ahead = Bytes::copy_from_slice(&seen[..filled]);
    Ok((stream.with_ahead(ahead), seen[..filled] == PREFACE[..]))
}
