//! A process hands its listening sockets to its successor: no connection is refused in between, as the sockets never
//! close.
//!
//! The predecessor [`offer`]s at a unix socket; the successor [`take`]s, starts, and says that it is [`Ready`]. Only
//! then does the predecessor stop. A successor that dies before it was ready changed nothing.
//!
//! On the socket, lines of JSON: one for each listener that travels with its sockets (`SCM_RIGHTS`), `{"sockets": 0}`,
//! and the other way `{"ready": true}`, answered by `{"leaving": true}`.

use std::io::{self, BufRead as _, BufReader, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use super::{Server, Sockets};

/// Sockets that travel with one line. The kernel allows 253.
const AT_ONCE: usize = 64;

/// Longest line.
const LINE: usize = 4096;

/// How long one end waits for a line of the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a successor may take to start: it reads files and asks servers.
const START: Duration = Duration::from_secs(120);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Parcel {
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    /// How many travel with this line; 0: there are no more.
    sockets: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Word {
    ready: bool,
    leaving: bool,
}

/// A predecessor that waits for its successor.
#[derive(Debug)]
pub struct Ready(UnixStream);

/// Where a successor asks. Its file goes with it, unless a successor has put its own there.
#[derive(Debug)]
pub struct Offer {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Binds the socket, and replaces what a predecessor left there. Only its own user and root are served.
///
/// # Errors
/// If the socket cannot be made.
pub fn offer(path: &Path) -> io::Result<Offer> {
    use std::os::unix::fs::MetadataExt as _;
    // Renamed over the old one: there is no moment without any, and none at which others may open it.
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = std::fs::remove_file(&new);
    let made = UnixListener::bind(&new).and_then(|listener| {
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
        let inode = std::fs::metadata(&new)?.ino();
        std::fs::rename(&new, path)?;
        Ok(Offer { listener, path: path.to_owned(), inode })
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    made
}

impl Offer {
    /// Serves successors until one is ready. Then the server is to be drained: its sockets are another's.
    pub async fn successor(&self, server: &Arc<Server>) {
        loop {
            let stream = match self.listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a successor");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let Ok(_hang_up) = stream.try_clone().map(HangUp) else { continue };
            let server = server.clone();
            let handed = tokio::task::spawn_blocking(move || hand_over(&stream, &server)).await;
            match handed.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok(()) => return tracing::info!("a successor has taken over"),
                Err(error) => tracing::warn!(%error, "a successor did not take over: all is as before"),
            }
        }
    }
}

/// Ends the conversation with a successor when it is dropped: who waits for its word, on a thread that cannot be
/// stopped, stops.
struct HangUp(UnixStream);

impl Drop for HangUp {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        use std::os::unix::fs::MetadataExt as _;
        if std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn hand_over(stream: &UnixStream, server: &Server) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(START))?;
    let user = rustix::net::sockopt::socket_peercred(stream)?.uid;
    if !user.is_root() && user != rustix::process::geteuid() {
        let what = format!("user {} may not take the sockets over", user.as_raw());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    for (listener, address, sockets) in server.sockets() {
        for sockets in sockets.chunks(AT_ONCE) {
            let parcel = Parcel {
                listener: Some(listener.to_string()),
                address: Some(address),
                sockets: sockets.len(),
            };
            send(stream, &parcel, sockets)?;
        }
    }
    send(stream, &Parcel::default(), &[])?;
    if !read_word(stream)?.ready {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it said something else than that it is ready",
        ));
    }
    // Whether this arrives changes nothing: both have the sockets, and the other one serves.
    let _ = write_word(stream, &Word { leaving: true, ..Word::default() });
    Ok(())
}

/// Asks a predecessor for its sockets. None if there is no predecessor.
///
/// # Errors
/// If there is one, and it does not hand them over.
pub fn take(path: &Path) -> io::Result<Option<(Sockets, Ready)>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut sockets = Sockets::none();
    loop {
        let (parcel, received) = receive(&stream)?;
        if parcel.sockets != received.len() {
            let what = format!("{} sockets were announced, {} came", parcel.sockets, received.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if received.is_empty() {
            return Ok(Some((sockets, Ready(stream))));
        }
        for socket in received {
            sockets.add(socket)?;
        }
    }
}

impl Ready {
    /// Tells the predecessor that this process serves, and waits until it knows.
    ///
    /// # Errors
    /// If the predecessor is gone or does not answer: then it may still serve, beside this process.
    pub fn announce(self) -> io::Result<()> {
        write_word(&self.0, &Word { ready: true, ..Word::default() })?;
        if read_word(&self.0)?.leaving {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the predecessor said something else than that it leaves",
        ))
    }
}

fn send(stream: &UnixStream, parcel: &Parcel, sockets: &[Arc<TcpListener>]) -> io::Result<()> {
    let mut line = serde_json::to_vec(parcel)?;
    line.push(b'\n');
    let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(&line)], &mut control, SendFlags::NOSIGNAL)?;
    // The sockets went with the first byte.
    let mut stream = stream;
    stream.write_all(&line[sent..])
}

/// One line with its sockets. Read byte by byte: what follows belongs to the next.
fn receive(stream: &UnixStream) -> io::Result<(Parcel, Vec<OwnedFd>)> {
    let (mut line, mut sockets) = (Vec::new(), Vec::new());
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let pieces = &mut [IoSliceMut::new(&mut byte)];
        let received = recvmsg(stream, pieces, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                sockets.extend(received);
            }
        }
        if received.bytes == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the predecessor ended the conversation",
            ));
        }
        if line.len() >= LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the predecessor has no end"));
        }
        line.extend(byte);
    }
    Ok((serde_json::from_slice(&line)?, sockets))
}

fn write_word(mut stream: &UnixStream, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn read_word(stream: &UnixStream) -> io::Result<Word> {
    let mut line = String::new();
    let most = io::Read::take(stream, LINE as u64);
    if BufReader::new(most).read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it was ready"));
    }
    Ok(serde_json::from_str(&line)?)
}
