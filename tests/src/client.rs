//! A small blocking HTTP client: one connection per request, nothing cached, every failure told.
//!
//! Connections leave from the calling thread's namespace: call from [`Netns::run_in`](crate::netns::Netns::run_in).

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::body;
use crate::netns::Handle;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// The `X-Backend` header, where there was one.
    pub backend: Option<String>,
    /// Everything after the head; as long as the head promised.
    pub body: Vec<u8>,
}

impl Response {
    /// SHA-256 of the body, in hexadecimal.
    pub fn digest(&self) -> String {
        body::digest(&self.body)
    }

    /// The body as text, without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// `GET path`. `timeout` holds for connecting and for each pause in the answer.
pub fn get(server: SocketAddr, path: &str, timeout: Duration) -> Result<Response> {
    exchange(server, &format!("GET {path} HTTP/1.1"), &[], timeout)
}

/// `PUT path` with `bytes` as body.
pub fn put(server: SocketAddr, path: &str, bytes: &[u8], timeout: Duration) -> Result<Response> {
    exchange(server, &format!("PUT {path} HTTP/1.1"), bytes, timeout)
}

/// What the server at `server` says its name is.
pub fn name_of(server: SocketAddr, timeout: Duration) -> Result<String> {
    let response = get(server, "/name", timeout)?;
    if response.status == 200 {
        Ok(response.text())
    } else {
        Err(Error::other(format!("status {}", response.status)))
    }
}

/// Who answered how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Connections answered, by the name of the server.
    pub answers: BTreeMap<String, u32>,
    /// Why the others failed.
    pub failures: Vec<String>,
}

impl Sample {
    /// The part of the answers that came from `name`, 0 to 1.
    pub fn share(&self, name: &str) -> f64 {
        let all: u32 = self.answers.values().sum();
        f64::from(self.answers.get(name).copied().unwrap_or(0)) / f64::from(all.max(1))
    }

    fn add(mut self, other: Self) -> Self {
        for (name, count) in other.answers {
            *self.answers.entry(name).or_default() += count;
        }
        self.failures.extend(other.failures);
        self
    }
}

/// Makes `connections` connections to `server` from the namespace `from`, some at a time, and counts who answered.
/// Gives up early where nothing works.
pub fn sample(from: &Handle, server: SocketAddr, connections: u32) -> Sample {
    const THREADS: u32 = 4;
    const ENOUGH_FAILURES: usize = 3;
    let part = |connections| {
        let mut sample = Sample::default();
        if let Err(error) = from.enter() {
            sample.failures.push(format!("{error:#}"));
            return sample;
        }
        for _ in 0..connections {
            if sample.failures.len() >= ENOUGH_FAILURES {
                break;
            }
            match name_of(server, Duration::from_secs(5)) {
                Ok(name) => *sample.answers.entry(name).or_default() += 1,
                Err(error) => sample.failures.push(error.to_string()),
            }
        }
        sample
    };
    thread::scope(|scope| {
        let parts = (0..THREADS).map(|n| (connections + n) / THREADS).map(|n| scope.spawn(move || part(n)));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().filter_map(|thread| thread.join().ok()).fold(Sample::default(), Sample::add)
    })
}

fn exchange(server: SocketAddr, request: &str, bytes: &[u8], timeout: Duration) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    let length = bytes.len();
    let head = format!("{request}\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(answer)
}

fn parse(mut answer: Vec<u8>) -> Result<Response> {
    let bad = |what: &str| Error::new(ErrorKind::InvalidData, format!("bad answer: {what}"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| bad("no end of head"))?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).map_err(|_| bad("head is not text"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad("no status"))?;
    let header = |wanted: &str| {
        let pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).next()
    };
    if let Some(promised) = header("content-length").and_then(|length| length.parse::<usize>().ok())
        && promised != body.len()
    {
        return Err(bad(&format!("{} of {promised} bytes came", body.len())));
    }
    let backend = header("x-backend").map(str::to_owned);
    Ok(Response { status, backend, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart_and_short_ones_refused() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX-Backend: b\r\n\r\nabc", Ok((200, Some("b"), "abc"))),
            ("HTTP/1.1 503 No\r\n\r\n", Ok((503, None, ""))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", Err("bad answer: 3 of 4 bytes came")),
            ("", Err("bad answer: no end of head")),
            ("\r\n\r\n", Err("bad answer: no status")),
        ] {
            let answer = parse(text.into()).map_err(|error| error.to_string());
            let seen = answer.as_ref().map(|a| (a.status, a.backend.as_deref(), a.text()));
            let expected = expected.map(|(status, backend, body)| (status, backend, body.to_owned()));
            assert_eq!(seen.map_err(String::as_str), expected, "{text:?}");
        }
    }
}
