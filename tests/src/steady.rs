//! A steady stream of requests over connections that are kept, as browsers and services send them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::netns::Handle;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by the value of `X-Server`.
    pub servers: BTreeMap<String, u64>,
    /// Requests without an answer, in words.
    pub failures: Vec<String>,
    /// Requests sent again, as their connection was closed before anything came: RFC 9112, section 9.3.1, tells clients to.
    pub repeated: u64,
}

impl Seen {
    /// Answers in all.
    pub fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }
}

/// Clients that ask one after the other until they are stopped; dropped, they stop.
#[derive(Debug)]
pub struct Steady {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

impl Steady {
    /// So many clients in the namespace, each with a connection of its own, each asking for `path` without a pause.
    pub fn start(from: &Handle, server: SocketAddr, path: &str, clients: usize) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        Self::begin(from, server, &request, clients)
    }

    /// The same with a connection for each request.
    pub fn start_fresh(from: &Handle, server: SocketAddr, path: &str, clients: usize) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n");
        Self::begin(from, server, &request, clients)
    }

    fn begin(from: &Handle, server: SocketAddr, request: &str, clients: usize) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let threads = (0..clients).map(|_| {
            let (from, stop, seen) = (from.clone(), Arc::clone(&stop), Arc::clone(&seen));
            let request = request.to_owned();
            thread::spawn(move || {
                if let Err(error) = from.enter() {
                    lock(&seen).failures.push(format!("{error:#}"));
                    return;
                }
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    ask(server, &request, &mut connection, &seen);
                }
            })
        });
        let threads = threads.collect();
        Self { stop, seen, threads }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Ends it after the requests under way.
    pub fn stop(mut self) -> Seen {
        self.end();
        self.seen()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A client that panicked has told nothing: the tests look at what was seen.
            let _ = thread.join();
        }
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

type Connection = BufReader<TcpStream>;

fn ask(server: SocketAddr, request: &str, connection: &mut Option<Connection>, seen: &Mutex<Seen>) {
    let is_kept = connection.is_some();
    let outcome = once(server, request, connection).or_else(|failure| {
        *connection = None;
        if !is_kept || failure.kind() != ErrorKind::ConnectionAborted {
            return Err(failure);
        }
        lock(seen).repeated += 1;
        once(server, request, connection)
    });
    let mut seen = lock(seen);
    match outcome {
        Ok((status, name)) => {
            *seen.statuses.entry(status).or_default() += 1;
            if let Some(name) = name {
                *seen.servers.entry(name).or_default() += 1;
            }
        }
        Err(error) => {
            *connection = None;
            seen.failures.push(error.to_string());
            // Where everything fails at once, there is no need to fill the memory with it.
            drop(seen);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// One request; [`ErrorKind::ConnectionAborted`] if the connection was closed before anything came.
fn once(
    server: SocketAddr,
    request: &str,
    connection: &mut Option<Connection>,
) -> Result<(u16, Option<String>)> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        }
    };
    let nothing_came = |error: Error| Error::new(ErrorKind::ConnectionAborted, format!("no answer: {error}"));
    stream.get_mut().write_all(request.as_bytes()).map_err(nothing_came)?;
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => return Err(nothing_came(ErrorKind::UnexpectedEof.into())),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(nothing_came(error)),
        other => other?,
    };
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Error::other(format!("the answer begins with {line:?}")))?;
    let (mut length, mut name, mut closes) = (0, None, false);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(Error::other("the head of the answer ended early"));
        }
        let Some((field, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        match field.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(Error::other)?,
            "connection" => closes = value.eq_ignore_ascii_case("close"),
            "x-server" => name = Some(value.to_owned()),
            "transfer-encoding" => return Err(Error::other("this client reads no chunks")),
            _ => {}
        }
    }
    let read = std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink())?;
    if read < length {
        return Err(Error::other(format!("the answer has {read} of {length} bytes")));
    }
    if !closes {
        *connection = Some(stream);
    }
    Ok((status, name))
}
