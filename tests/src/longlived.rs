//! Connections that stay open and go on exchanging numbered lines, to see whether any is reset or changes its server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::clock;
use crate::netns::Handle;
use crate::wait::wait_until;

const THREADS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Between two lines of one connection, beside the time the others take.
const PAUSE: Duration = Duration::from_millis(20);

/// Open connections to [`LineServer`](crate::lineserver::LineServer)s behind a VIP.
#[derive(Debug)]
pub struct LongLived {
    stopping: Arc<AtomicBool>,
    rounds: Vec<Arc<AtomicU64>>,
    lost: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<Report>>>,
}

/// What became of the connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many there are.
    pub connections: usize,
    /// Lines that went there and came back.
    pub lines: u64,
    /// Lines of the connection that exchanged fewest.
    pub fewest: u64,
    /// Connections that ended, each with the reason.
    pub broken: Vec<String>,
    /// Answers from another server than the first, or to another line than the last.
    pub wrong: Vec<String>,
    /// The longest that a connection sent nothing, which is up to the test bed: clients and servers that find no time.
    pub longest_silence: Duration,
    /// Connections by server.
    pub servers: BTreeMap<String, usize>,
}

impl LongLived {
    /// Opens `connections` connections to `server` from the namespace `from`, and waits until each has had its first
    /// line answered.
    pub fn open(from: &Handle, server: SocketAddr, connections: usize) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let rounds: Vec<_> = (0..THREADS).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let lost = Arc::new(AtomicU64::new(0));
        let threads = rounds.iter().enumerate().map(|(n, rounds)| {
            let (from, stopping) = (from.clone(), Arc::clone(&stopping));
            let (rounds, lost) = (Arc::clone(rounds), Arc::clone(&lost));
            let part = (connections + n) / THREADS;
            thread::spawn(move || {
                from.enter()?;
                Ok(converse(server, part, &stopping, &rounds, &lost))
            })
        });
        let threads = threads.collect();
        let opened = Self { stopping, rounds, lost, threads };
        opened.wait_lines(1)?;
        Ok(opened)
    }

    /// Waits until each connection that still stands has exchanged `more` further lines.
    pub fn wait_lines(&self, more: u64) -> Result<()> {
        let rounds = || self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).min().unwrap_or(0);
        let goal = rounds() + more;
        let what = format!("each long-lived connection exchanged {more} more lines");
        wait_until(Duration::from_secs(30), &what, || (rounds() >= goal).then_some(()))
    }

    /// How many connections were lost or answered wrongly so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends the conversation.
    pub fn stop(mut self) -> Result<Report> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut total = Report { fewest: u64::MAX, ..Report::default() };
        for thread in self.threads.drain(..) {
            let Ok(report) = thread.join() else { bail!("a thread with long-lived connections panicked") };
            let report = report?;
            total.connections += report.connections;
            total.lines += report.lines;
            total.fewest = total.fewest.min(report.fewest);
            total.longest_silence = total.longest_silence.max(report.longest_silence);
            total.broken.extend(report.broken);
            total.wrong.extend(report.wrong);
            for (name, count) in report.servers {
                *total.servers.entry(name).or_default() += count;
            }
        }
        Ok(total)
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    server: Option<String>,
    sent: u64,
    last_sent: Option<Instant>,
    longest_silence: Duration,
    answered: u64,
}

fn converse(
    server: SocketAddr,
    count: usize,
    stopping: &AtomicBool,
    rounds: &AtomicU64,
    lost: &AtomicU64,
) -> Report {
    let mut report = Report { connections: count, ..Report::default() };
    let mut open: Vec<Connection> = Vec::with_capacity(count);
    let mut ended: Vec<Connection> = Vec::new();
    let mut told = 0;
    for _ in 0..count {
        match Connection::open(server) {
            Ok(connection) => open.push(connection),
            Err(error) => report.broken.push(format!("connecting: {error}")),
        }
    }
    while !stopping.load(Ordering::Relaxed) {
        // All ask before any is listened to: every connection has a packet on its way most of the time.
        let asked: Vec<_> = open.iter_mut().map(Connection::ask).collect();
        let mut standing = Vec::with_capacity(open.len());
        for (mut connection, asked) in open.drain(..).zip(asked) {
            match asked.and_then(|()| connection.listen()) {
                Ok(wrong) => {
                    report.wrong.extend(wrong);
                    standing.push(connection);
                }
                Err(error) => {
                    report.broken.push(connection.obituary(&error));
                    ended.push(connection);
                }
            }
        }
        open = standing;
        let now = (report.broken.len() + report.wrong.len()) as u64;
        lost.fetch_add(now - told, Ordering::Relaxed);
        told = now;
        rounds.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    open.append(&mut ended);
    report.lines = open.iter().map(|connection| connection.answered).sum();
    report.longest_silence =
        open.iter().map(|connection| connection.longest_silence).max().unwrap_or_default();
    report.fewest = open.iter().map(|connection| connection.answered).min().unwrap_or(0);
    for name in open.into_iter().filter_map(|connection| connection.server) {
        *report.servers.entry(name).or_default() += 1;
    }
    report
}

impl Connection {
    fn open(server: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        let lines = BufReader::with_capacity(256, stream.try_clone()?);
        Ok(Self {
            stream,
            lines,
            server: None,
            sent: 0,
            last_sent: None,
            longest_silence: Duration::ZERO,
            answered: 0,
        })
    }

    fn ask(&mut self) -> std::io::Result<()> {
        self.sent += 1;
        let now = clock::now();
        if let Some(last) = self.last_sent.replace(now) {
            self.longest_silence = self.longest_silence.max(now.duration_since(last));
        }
        self.stream.write_all(format!("{}\n", self.sent).as_bytes())
    }

    /// Reads the answer; says what is wrong with it.
    fn listen(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed it"));
        }
        self.answered += 1;
        let (name, number) = line.trim_end().rsplit_once(' ').unwrap_or_default();
        let server = self.server.get_or_insert_with(|| name.to_owned());
        let right = server == name && number.parse() == Ok(self.sent);
        Ok((!right)
            .then(|| format!("line {} of a connection to {server} was answered with {line:?}", self.sent)))
    }

    fn obituary(&self, error: &Error) -> String {
        let client = self.stream.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        let server = self.server.as_deref().unwrap_or("nobody");
        format!("{client}, served by {server}, after {} lines: {error}", self.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineserver::LineServer;
    use crate::netns::Netns;

    #[test]
    fn lines_come_back_from_the_same_server_and_a_stopped_one_is_noticed() {
        crate::require_root!();
        let netns = Netns::new("lines").unwrap();
        let server = LineServer::start(netns.handle(), "one", 7).unwrap();
        let open = LongLived::open(netns.handle(), "127.0.0.1:7".parse().unwrap(), 50).unwrap();
        open.wait_lines(5).unwrap();
        let report = open.stop().unwrap();
        assert_eq!((report.connections, &report.broken, &report.wrong), (50, &vec![], &vec![]));
        assert_eq!(report.servers, BTreeMap::from([("one".to_owned(), 50)]));
        assert!(report.fewest >= 6, "{report:?}");
        assert!(report.longest_silence >= PAUSE, "{report:?}");

        let open = LongLived::open(netns.handle(), "[::1]:7".parse().unwrap(), 5).unwrap();
        drop(server);
        open.wait_lines(2).unwrap();
        let report = open.stop().unwrap();
        assert_eq!(report.broken.len(), 5, "{report:?}");
    }
}
