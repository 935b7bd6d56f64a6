//! A server that answers each line with its name and that line, on connections that stay open.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

use crate::netns::Handle;

/// Room for a connection's thread: it holds one line.
const STACK: usize = 64 * 1024;

/// Listens on every address of both families. Dropping it closes its connections.
#[derive(Debug)]
pub struct LineServer {
    port: u16,
    netns: Handle,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    stopping: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl LineServer {
    /// Starts it in the namespace `netns`.
    pub fn start(netns: &Handle, name: &str, port: u16) -> Result<Self> {
        let (name, netns, state) = (name.to_owned(), netns.clone(), Arc::new(State::default()));
        let listener =
            listen(&netns, port).with_context(|| format!("{name} cannot listen on port {port}"))?;
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || accept(&listener, &name, &shared));
        Ok(Self { port, netns, state, accepting: Some(accepting) })
    }
}

impl Drop for LineServer {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        let (netns, port) = (self.netns.clone(), self.port);
        // A connection of our own wakes the accepting thread, which then sees that it is to stop.
        let wake =
            thread::spawn(move || netns.enter().map(|()| TcpStream::connect((Ipv6Addr::LOCALHOST, port))));
        let _ = wake.join();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for connection in self.state.connections.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn listen(netns: &Handle, port: u16) -> Result<TcpListener> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            netns.enter()?;
            Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?)
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn accept(listener: &TcpListener, name: &str, state: &State) {
    for connection in listener.incoming() {
        if state.stopping.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = connection else { continue };
        let Ok(kept) = stream.try_clone() else { continue };
        state.connections.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        let name = name.to_owned();
        // A connection that finds no thread is dropped, and the client tells.
        let _ = thread::Builder::new().stack_size(STACK).spawn(move || answer(stream, &name));
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut lines = BufReader::with_capacity(256, reading);
    let mut line = String::new();
    let _ = stream.set_nodelay(true);
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        if stream.write_all(format!("{name} {line}").as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}
