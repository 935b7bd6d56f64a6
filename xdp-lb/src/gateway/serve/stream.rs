use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::slots::Slot;

/// A connection's bytes, decrypted. It holds its slot, so that whoever has it last frees that: also one that it was
/// upgraded for.
pub(super) struct Stream {
    socket: Socket,
    /// Read before, not yet given out.
    ahead: Bytes,
    _slot: Slot,
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn plain(socket: TcpStream, slot: Slot) -> Self {
        Self { socket: Socket::Plain(socket), ahead: Bytes::new(), _slot: slot }
    }

    pub(super) fn tls(socket: TlsStream<TcpStream>, slot: Slot) -> Self {
        Self { socket: Socket::Tls(Box::new(socket)), ahead: Bytes::new(), _slot: slot }
    }

    /// With these bytes in front of those that come.
    pub(super) fn with_ahead(mut self, ahead: Bytes) -> Self {
        self.ahead = ahead;
        self
    }

    /// Whether a read would find something, without room for it. Only one task may wait, for this or for a read.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.socket {
            Socket::Plain(socket) => socket.poll_read_ready(context),
            // What was decrypted already is not seen on the socket.
            Socket::Tls(socket) if !socket.get_ref().1.wants_read() => Poll::Ready(Ok(())),
            Socket::Tls(socket) => socket.get_ref().0.poll_read_ready(context),
        }
    }

    /// The socket below.
    pub(super) fn socket(&self) -> &TcpStream {
        match &self.socket {
            Socket::Plain(socket) => socket,
            Socket::Tls(socket) => socket.get_ref().0,
        }
    }

    /// Whether the other end agreed on HTTP/2 in the handshake.
    pub(super) fn agreed_on_http2(&self) -> bool {
        match &self.socket {
            Socket::Plain(_) => false,
            Socket::Tls(socket) => socket.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            give_out(&mut self.ahead, buffer);
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Tls(socket) => Pin::new(&mut **socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tls(socket) => Pin::new(&mut **socket).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
            Socket::Tls(socket) => Pin::new(&mut **socket).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tls(socket) => Pin::new(&mut **socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tls(socket) => Pin::new(&mut **socket).poll_shutdown(context),
        }
    }
}

/// Moves as much as there is room for.
pub(super) fn give_out(ahead: &mut Bytes, buffer: &mut ReadBuf<'_>) {
    let count = ahead.len().min(buffer.remaining());
    buffer.put_slice(&ahead[..count]);
    ahead.advance(count);
    if ahead.is_empty() {
        *ahead = Bytes::new();
    }
}
