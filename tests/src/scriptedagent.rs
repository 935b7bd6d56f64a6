//! An agent of HAProxy's agent-check that says what it is told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::netns::Handle;

/// How long a client may take to leave.
const LEAVE: Duration = Duration::from_secs(1);

/// Answers every connection on its port.
#[derive(Debug)]
pub struct ScriptedAgent {
    port: u16,
    netns: Option<Handle>,
    state: Arc<Mutex<State>>,
    answering: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    line: Vec<u8>,
    said: u32,
    stopping: bool,
}

impl ScriptedAgent {
    /// Starts it on a port of its own, on loopback; it says `line`.
    pub fn start(line: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening as an agent")?;
        Self::serve(listener, None, line)
    }

    /// Starts it on `port` of every IPv4 address of the namespace `netns`.
    pub fn start_in(netns: &Handle, port: u16, line: &str) -> Result<Self> {
        let listen = || {
            netns.enter()?;
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("listening as an agent")
        };
        let listener = thread::scope(|scope| scope.spawn(listen).join());
        let listener = listener.map_err(|_| anyhow!("listening as an agent panicked"))??;
        Self::serve(listener, Some(netns.clone()), line)
    }

    fn serve(listener: TcpListener, netns: Option<Handle>, line: &str) -> Result<Self> {
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State { line: line.into(), said: 0, stopping: false }));
        let shared = Arc::clone(&state);
        let answering = thread::spawn(move || answer(&listener, &shared));
        Ok(Self { port, netns, state, answering: Some(answering) })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says `line` from now on.
    pub fn say(&self, line: &str) {
        let mut state = lock(&self.state);
        (state.line, state.said) = (line.into(), 0);
    }

    /// How many have heard its present line to the end.
    pub fn said(&self) -> u32 {
        lock(&self.state).said
    }
}

impl Drop for ScriptedAgent {
    fn drop(&mut self) {
        lock(&self.state).stopping = true;
        // A connection of our own wakes the thread, which then sees that it is to stop.
        let (netns, port) = (self.netns.clone(), self.port);
        let wake = thread::spawn(move || {
            netns
                .map_or(Ok(()), |netns| netns.enter())
                .map(|()| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
        });
        let _ = wake.join();
        if let Some(answering) = self.answering.take() {
            let _ = answering.join();
        }
    }
}

fn answer(listener: &TcpListener, state: &Mutex<State>) {
    for connection in listener.incoming() {
        let line = {
            let state = lock(state);
            if state.stopping {
                return;
            }
            state.line.clone()
        };
        let Ok(mut stream) = connection else { continue };
        let _ = stream.set_read_timeout(Some(LEAVE));
        let said = stream.write_all(&line).and_then(|()| stream.shutdown(Shutdown::Write));
        // Until the client has left: it may leave by a reset.
        let _ = stream.read_to_end(&mut Vec::new());
        let mut state = lock(state);
        if said.is_ok() && state.line == line {
            state.said += 1;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
