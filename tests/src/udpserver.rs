//! A server that answers each datagram with its name and that datagram.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Netns;

/// Listens on one address, the VIP: an answer has to come from where the question went.
#[derive(Debug)]
pub struct UdpServer {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpServer {
    /// Starts it in the namespace `netns`.
    pub fn start(netns: &Netns, name: &str, address: SocketAddr) -> Result<Self> {
        let socket = netns.run_in(|| {
            let socket = UdpSocket::bind(address).with_context(|| format!("listening on {address}"))?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            Ok(socket)
        })?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (name, stop) = (name.to_owned(), Arc::clone(&stopping));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let answer = [name.as_bytes(), b" ", &buffer[..length]].concat();
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { stopping, thread: Some(thread) })
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks `server` once from a socket of its own in the calling thread's namespace; who answered.
pub fn ask(socket: &UdpSocket, server: SocketAddr, question: &str) -> Result<String> {
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send_to(question.as_bytes(), server)?;
    let mut buffer = [0; 2048];
    let (length, from) =
        socket.recv_from(&mut buffer).with_context(|| format!("{server} does not answer"))?;
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    anyhow::ensure!(from == server, "asked {server}, answered by {from}");
    match answer.split_once(' ') {
        Some((name, rest)) if rest == question => Ok(name.to_owned()),
        _ => anyhow::bail!("asked {question:?}, answered {answer:?}"),
    }
}
