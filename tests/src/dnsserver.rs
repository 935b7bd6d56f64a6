//! A name server that knows one name: what it answers can be changed while it runs.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Handle;

/// Seconds that an answer may be kept.
const TTL: u32 = 1;

const TYPE_A: u16 = 1;
const TYPE_SRV: u16 = 33;

/// The server, on a port of loopback; ends on drop.
#[derive(Debug)]
pub struct DnsServer {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    zone: Mutex<Zone>,
    asked: AtomicU64,
}

/// What it answers, whatever the name.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    /// Addresses.
    pub a: Vec<Ipv4Addr>,
    /// Weight, port and name of servers.
    pub srv: Vec<(u16, u16, &'static str)>,
    /// Whether it says that it failed instead.
    pub fails: bool,
    /// How long it takes to answer.
    pub takes: Duration,
}

impl DnsServer {
    /// Starts it in the namespace.
    pub fn start(netns: &Handle, port: u16, zone: Zone) -> Result<Self> {
        let state = Arc::new(State { zone: Mutex::new(zone), asked: AtomicU64::new(0) });
        let (netns, shared) = (netns.clone(), Arc::downgrade(&state));
        let (told, ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let made = netns.enter().and_then(|()| {
                let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
                socket.set_read_timeout(Some(Duration::from_millis(50)))?;
                Ok(socket)
            });
            let socket = match made {
                Ok(socket) => socket,
                Err(error) => return told.send(Err(error)).unwrap_or_default(),
            };
            told.send(Ok(())).unwrap_or_default();
            let mut query = [0; 512];
            while let Some(state) = shared.upgrade() {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let zone = state.zone.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(answer) = answer(&query[..length], &zone) {
                    thread::sleep(zone.takes);
                    state.asked.fetch_add(1, Relaxed);
                    // Who asks may be gone by now.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        ready.recv().context("the name server's thread ended")??;
        Ok(Self { state })
    }

    /// Answers so from now on.
    pub fn set(&self, zone: Zone) {
        *self.state.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Questions answered so far.
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Relaxed)
    }
}

/// RFC 1035, section 4: the question is sent back with what is known.
fn answer(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let mut end = 12;
    loop {
        let length = usize::from(*query.get(end)?);
        end += 1 + length;
        if length == 0 {
            break;
        }
    }
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let question = query.get(12..end + 4)?;
    let records: Vec<Vec<u8>> = match kind {
        _ if zone.fails => Vec::new(),
        TYPE_A => zone.a.iter().map(|address| address.octets().to_vec()).collect(),
        TYPE_SRV => zone.srv.iter().map(srv).collect(),
        _ => Vec::new(),
    };
    let mut text = query.get(..2)?.to_vec();
    // An answer, recursion wanted and available; "server failure" is 2.
    text.extend([0x81, if zone.fails { 0x82 } else { 0x80 }, 0, 1]);
    text.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    text.extend([0; 4]);
    text.extend(question);
    for record in records {
        // The name is the question's.
        text.extend([0xc0, 12]);
        text.extend(kind.to_be_bytes());
        text.extend([0, 1]);
        text.extend(TTL.to_be_bytes());
        text.extend(u16::try_from(record.len()).ok()?.to_be_bytes());
        text.extend(record);
    }
    Some(text)
}

fn srv((weight, port, name): &(u16, u16, &'static str)) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(weight.to_be_bytes());
    record.extend(port.to_be_bytes());
    for label in name.split('.') {
        record.push(label.len() as u8);
        record.extend(label.bytes());
    }
    record.push(0);
    record
}
