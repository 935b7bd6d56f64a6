//! The agent's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Answer, Query, Question, ask};

/// Clients served at once; more wait to be accepted.
const MOST_CLIENTS: usize = 16;

/// Bytes of a question, its line end included.
const LONGEST_QUESTION: u64 = 4096;

/// How long a client may be silent, or take to read an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Owner and group may ask.
const MODE: u32 = 0o660;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlSocketError {
    /// Somebody answers there.
    #[error("an agent is running already: it answers at {}; stop it, or set agent.control_socket to another path", .0.display())]
    Running(PathBuf),
    /// Something else is in the way.
    #[error("{} exists and is not a socket: remove it, or set agent.control_socket to another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {what} {}: {reason}", path.display())]
    Io {
        /// "listen at", "create".
        what: &'static str,
        /// Of the socket or its directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// The listening control socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
    server: Option<JoinHandle<()>>,
}

impl ControlSocket {
    /// Listens at `path`, whose directory is created. A socket that nobody listens at any more is replaced. To be
    /// called on a tokio runtime.
    pub fn open(path: &Path) -> Result<Self, ControlSocketError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |reason: io::Error| ControlSocketError::Io { what, path, reason }
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        clear_stale(path)?;
        let listener = listen_at(path).map_err(failed("listen at", path))?;
        Ok(Self { path: path.to_owned(), listener: Some(listener), server: None })
    }

    /// Starts to answer; questions go to `queries`.
    pub fn serve(&mut self, queries: mpsc::Sender<Query>) {
        if let Some(listener) = self.listener.take() {
            self.server = Some(tokio::spawn(serve(listener, queries)));
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
        // Whoever comes next would clear it as well.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what a dead agent left at `path`.
fn clear_stale(path: &Path) -> Result<(), ControlSocketError> {
    let io = |what, reason| ControlSocketError::Io { what, path: path.to_owned(), reason };
    match BlockingStream::connect(path) {
        Ok(_) => Err(ControlSocketError::Running(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            let kind = fs::symlink_metadata(path).map_err(|e| io("look at", e))?.file_type();
            if !std::os::unix::fs::FileTypeExt::is_socket(&kind) {
                return Err(ControlSocketError::NotASocket(path.to_owned()));
            }
            fs::remove_file(path).map_err(|e| io("remove the stale socket", e))
        }
        Err(e) => Err(io("use", e)),
    }
}

/// A socket whose file never has wider permissions than it is meant to: they are set before it has a name.
fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // The umask has taken bits away.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    listen(&socket, 16)?;
    UnixListener::from_std(socket.into())
}

async fn serve(listener: UnixListener, queries: mpsc::Sender<Query>) {
    let room = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let queries = queries.clone();
                tokio::spawn(async move {
                    // A client that goes away in the middle is its own affair.
                    let _ = talk(client, &queries).await;
                    drop(place);
                });
            }
            Err(e) => {
                tracing::warn!("control socket: cannot accept a client: {e}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Answers one client's questions until it leaves, is silent for too long, or says something too long.
async fn talk(client: UnixStream, queries: &mpsc::Sender<Query>) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LONGEST_QUESTION);
        if timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await?? == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let answer = if whole {
            answer(&line, queries).await
        } else {
            Answer::Error { error: format!("a question is one line of at most {LONGEST_QUESTION} bytes") }
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        timeout(PATIENCE, writer.write_all(&text)).await??;
        if !whole {
            return Ok(());
        }
    }
}

async fn answer(line: &[u8], queries: &mpsc::Sender<Query>) -> Answer {
    let answer = match serde_json::from_slice::<Question>(line) {
        Ok(question) => ask(queries, question).await,
        Err(e) => Err(format!(
            r#"not a question: {e}; ask {{"ask":"status"}} or {{"ask":"explain","vip":"NAME","client":"ADDRESS:PORT"}}"#
        )),
    };
    answer.unwrap_or_else(|error| Answer::Error { error })
}

#[cfg(test)]
mod tests;
