use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; `net.core.somaxconn` may make that fewer.
const BACKLOG: i32 = 4096;

/// First port that everybody may listen at, unless the machine says otherwise.
const FREE_PORTS: u16 = 1024;

/// Listening sockets that were there before this process, by address.
#[derive(Debug, Default)]
pub struct Sockets(HashMap<SocketAddr, Vec<TcpListener>>);

/// An address cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener} cannot listen at {address}: {source}; {mend}")]
pub struct SocketError {
    /// The listener's name.
    pub listener: String,
    /// Its address.
    pub address: SocketAddr,
    /// What the kernel says.
    pub source: io::Error,
    /// What helps.
    pub mend: &'static str,
}

impl Sockets {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that systemd opened (`sd_listen_fds(3)`), if this process was started by a socket unit.
    ///
    /// The sockets stay open at their first numbers as well, and systemd keeps them itself: an address of these never
    /// stops taking connections in before the unit is stopped.
    ///
    /// # Errors
    /// If the environment names sockets that are not there, or are no listening ones of TCP.
    pub fn from_systemd() -> io::Result<Self> {
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
        if number("LISTEN_PID") != Some(rustix::process::getpid().as_raw_nonzero().get()) {
            return Ok(Self::none());
        }
        Self::inherited(3..3 + number("LISTEN_FDS").unwrap_or(0).clamp(0, 1024))
    }

    /// By their numbers in this process: the kernel makes others of them, that are ours without a doubt.
    fn inherited(numbers: impl Iterator<Item = i32>) -> io::Result<Self> {
        let mut sockets = Self::none();
        let own = rustix::process::getpid();
        let process = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty())?;
        for number in numbers {
            let flags = rustix::process::PidfdGetfdFlags::empty();
            sockets.add(rustix::process::pidfd_getfd(&process, number, flags)?)?;
        }
        Ok(sockets)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Addresses of those that nobody took.
    pub(super) fn left(&self) -> impl Iterator<Item = &SocketAddr> {
        self.0.keys()
    }

    /// Adds one that somebody else opened.
    pub(super) fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let socket = TcpListener::from(socket);
        let listens = rustix::net::sockopt::socket_acceptconn(&socket)?;
        if !listens {
            let what = "a socket that was handed over is not a listening one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        socket.set_nonblocking(true)?;
        self.0.entry(socket.local_addr()?).or_default().push(socket);
        Ok(())
    }

    /// At least so many for an address: those that are there, and new ones.
    pub(super) fn take(
        &mut self,
        listener: &str,
        address: SocketAddr,
        count: usize,
        all: &[SocketAddr],
    ) -> Result<Vec<TcpListener>, SocketError> {
        let mut sockets = self.0.remove(&address).unwrap_or_default();
        let error = |source: io::Error| SocketError {
            listener: listener.to_owned(),
            address,
            mend: mend(address, source.kind()),
            source,
        };
        // One made by others may let no further ones in beside it: all workers wait at that one then.
        let shares = |socket: &&TcpListener| rustix::net::sockopt::socket_reuseport(socket).unwrap_or(false);
        if let Some(alone) = sockets.iter().find(|socket| !shares(socket)) {
            let more = (sockets.len()..count).map(|_| alone.try_clone()).collect::<io::Result<Vec<_>>>();
            sockets.extend(more.map_err(error)?);
            return Ok(sockets);
        }
        // A port by chance is chosen once, for all of them.
        let mut address = sockets.first().map_or(Ok(address), TcpListener::local_addr).map_err(error)?;
        while sockets.len() < count {
            let socket = open(address, all).map_err(error)?;
            address = socket.local_addr().map_err(error)?;
            sockets.push(socket);
        }
        Ok(sockets)
    }
}

/// The kernel spreads connections over all sockets that share the address.
fn open(address: SocketAddr, all: &[SocketAddr]) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` is for both families, unless one is listened at by itself.
        let alone = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        socket.set_only_v6(!address.ip().is_unspecified() || all.iter().any(alone))?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn mend(address: SocketAddr, kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied if address.port() < FREE_PORTS => {
            "give the process CAP_NET_BIND_SERVICE (AmbientCapabilities= of its unit), or lower \
             net.ipv4.ip_unprivileged_port_start"
        }
        io::ErrorKind::AddrInUse => {
            "another process listens there (`ss -ltnp` names it), under another user or without SO_REUSEPORT: \
             stop it, or let it hand over by gateway.handover_socket"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: `ip address` shows those it has; \
             net.ipv4.ip_nonlocal_bind lets it listen before it has"
        }
        _ => "see listen(2) and bind(2)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_of_an_address_share_its_port() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let address = address.parse().unwrap();
            let sockets = Sockets::none().take("web", address, 3, &[address]).unwrap();
            assert_eq!(sockets.len(), 3);
            let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
            assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
        }
    }

    #[test]
    fn errors_name_the_address_and_the_mend() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Sockets::none().take("web", address, 1, &[]).unwrap_err().to_string();
        assert!(
            error.contains("web") && error.contains(&address.to_string()) && error.contains("ss -ltnp"),
            "{error}"
        );
        let error =
            Sockets::none().take("web", "192.0.2.1:80".parse().unwrap(), 1, &[]).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:80") && error.contains("ip address"), "{error}");
        assert!(
            mend("0.0.0.0:80".parse().unwrap(), io::ErrorKind::PermissionDenied)
                .contains("CAP_NET_BIND_SERVICE")
        );
    }

    #[test]
    fn sockets_of_systemd_are_shared_by_all_workers() {
        use std::os::fd::AsRawFd as _;
        let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = theirs.local_addr().unwrap();
        let mut sockets = Sockets::inherited([theirs.as_raw_fd()].into_iter()).unwrap();
        let sockets = sockets.take("web", address, 3, &[]).unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        let file = tempfile::tempfile().unwrap();
        assert!(Sockets::inherited([file.as_raw_fd()].into_iter()).is_err(), "a file is no socket");
    }

    #[test]
    fn sockets_that_were_there_are_used_first() {
        let address = "127.0.0.1:0".parse().unwrap();
        let first = Sockets::none().take("web", address, 2, &[]).unwrap();
        let address = first[0].local_addr().unwrap();
        let mut sockets = Sockets::none();
        for socket in first {
            sockets.add(socket.into()).unwrap();
        }
        assert_eq!(sockets.take("web", address, 3, &[]).unwrap().len(), 3);
        assert!(sockets.is_empty());
    }
}
