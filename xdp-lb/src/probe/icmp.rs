//! ICMP echo. All checks share one socket for each family, and one task that hands each answer to whom it is for: a raw
//! socket of its own for each check would be given every other check's answer too, and thousands of datagram sockets
//! would be opened and closed a second to no use.

mod message;
mod socket;

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use self::message::Echo;
use self::socket::Opened;
use super::{Limit, words};

/// Pings. The sockets are opened when they are needed first.
#[derive(Debug, Default)]
pub(super) struct Pinger {
    v4: Mutex<Option<Arc<Family>>>,
    v6: Mutex<Option<Arc<Family>>>,
}

impl Pinger {
    /// One echo; `Ok` when its answer comes from `address`.
    pub(super) async fn ping(&self, address: IpAddr, limit: &Limit) -> Result<(), String> {
        let family = self.family(address)?;
        let (expected, answer) = family.expect(address)?;
        let request = expected.echo.request(address);
        let sent = family.socket.send_to(&request, SocketAddr::new(address, 0));
        limit.hold("no answer", sent).await?.map_err(|e| words::io(&e))?;
        limit.hold("no answer", answer).await?.map_err(|_| "the socket for pings failed".to_owned())
    }

    fn family(&self, address: IpAddr) -> Result<Arc<Family>, String> {
        let mut family = lock(if address.is_ipv4() { &self.v4 } else { &self.v6 });
        match &*family {
            Some(open) if !lock(&open.waiting).closed => Ok(Arc::clone(open)),
            _ => Ok(Arc::clone(family.insert(Arc::new(Family::open(address.is_ipv4())?)))),
        }
    }
}

/// One family's socket, and who waits for what.
#[derive(Debug)]
struct Family {
    socket: Arc<UdpSocket>,
    id: u16,
    /// Makes tokens that cannot be guessed: the standard library's hash is keyed at random.
    secret: RandomState,
    waiting: Arc<Mutex<Waiting>>,
    receiver: AbortHandle,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Echoes sent so far.
    count: u64,
    checks: HashMap<(IpAddr, u16), (u64, oneshot::Sender<()>)>,
    /// Nobody receives any more.
    closed: bool,
}

/// An echo that is waited for, until this is dropped.
struct Expected<'a> {
    echo: Echo,
    address: IpAddr,
    waiting: &'a Mutex<Waiting>,
}

impl Family {
    fn open(is_ipv4: bool) -> Result<Self, String> {
        let secret = RandomState::new();
        let Opened { socket, id, has_header } = socket::open(is_ipv4, secret.hash_one("id") as u16)?;
        let (socket, waiting) = (Arc::new(socket), Arc::default());
        let receiver = tokio::spawn(receive(Arc::clone(&socket), Arc::clone(&waiting), id, has_header));
        Ok(Self { socket, id, secret, waiting, receiver: receiver.abort_handle() })
    }

    /// The next echo to `address`, and what resolves when it is answered.
    fn expect(&self, address: IpAddr) -> Result<(Expected<'_>, oneshot::Receiver<()>), String> {
        let mut waiting = lock(&self.waiting);
        for _ in 0..=u16::MAX {
            waiting.count = waiting.count.wrapping_add(1);
            let (count, sequence) = (waiting.count, waiting.count as u16);
            if let Entry::Vacant(place) = waiting.checks.entry((address, sequence)) {
                let token = self.secret.hash_one((address, count));
                let (tell, answer) = oneshot::channel();
                place.insert((token, tell));
                let echo = Echo { id: self.id, sequence, token };
                return Ok((Expected { echo, address, waiting: &self.waiting }, answer));
            }
        }
        Err("65536 pings of this address are under way".to_owned())
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        lock(self.waiting).checks.remove(&(self.address, self.echo.sequence));
    }
}

/// Hands out answers until the socket fails, which the checks then under way are told of; the next opens another.
async fn receive(socket: Arc<UdpSocket>, waiting: Arc<Mutex<Waiting>>, id: u16, has_header: bool) {
    // One byte more than a whole answer with the longest IPv4 header: what is longer is none.
    let mut buffer = [0; 60 + message::LENGTH + 1];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let packet = buffer.get(..length).unwrap_or_default();
        let header = if has_header { header_length(packet) } else { 0 };
        let answered = packet.get(header..).and_then(|message| Echo::answered(message, from.ip()));
        if let Some(echo) = answered.filter(|echo| echo.id == id) {
            lock(&waiting).hand_out(from.ip(), echo);
        }
    }
    let mut waiting = lock(&waiting);
    waiting.closed = true;
    waiting.checks.clear();
}

/// Bytes of the IPv4 header that a raw socket's packets begin with.
fn header_length(packet: &[u8]) -> usize {
    packet.first().map_or(0, |first| usize::from(first & 0xf) * 4)
}

impl Waiting {
    fn hand_out(&mut self, from: IpAddr, echo: Echo) {
        let key = (from, echo.sequence);
        if self.checks.get(&key).is_some_and(|(token, _)| *token == echo.token)
            && let Some((_, tell)) = self.checks.remove(&key)
        {
            // It may have given up this moment.
            let _ = tell.send(());
        }
    }
}

/// What is guarded is whole at every point at which its holder could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn an_answer_goes_to_whom_it_is_for_and_to_nobody_else() {
        let mut waiting = Waiting::default();
        let (tell, mut answer) = oneshot::channel();
        waiting.checks.insert((LOCALHOST, 7), (99, tell));
        for (row, from, sequence, token) in [
            ("from elsewhere", IpAddr::from([127, 0, 0, 2]), 7, 99),
            ("another sequence number", LOCALHOST, 8, 99),
            ("a guess", LOCALHOST, 7, 98),
        ] {
            waiting.hand_out(from, Echo { id: 1, sequence, token });
            assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty), "{row}");
        }
        waiting.hand_out(LOCALHOST, Echo { id: 1, sequence: 7, token: 99 });
        assert_eq!(answer.try_recv(), Ok(()));
        assert!(waiting.checks.is_empty(), "once");
    }

    #[tokio::test]
    async fn this_machine_answers_or_says_what_pinging_needs() {
        let pinger = Pinger::default();
        let limit = Limit::starting_now(std::time::Duration::from_secs(5));
        if let Err(error) = pinger.ping(LOCALHOST, &limit).await {
            assert!(error.contains("CAP_NET_RAW"), "{error}");
            return;
        }
        let family = pinger.family(LOCALHOST).unwrap();
        assert!(lock(&family.waiting).checks.is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_socket_that_failed_is_replaced() {
        let pinger = Pinger::default();
        let Ok(first) = pinger.family(LOCALHOST) else { return };
        lock(&first.waiting).closed = true;
        let second = pinger.family(LOCALHOST).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &pinger.family(LOCALHOST).unwrap()));
    }
}
