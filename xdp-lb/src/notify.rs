//! Tells systemd how a process fares (sd_notify(3)), where it was started with `Type=notify` or `Type=notify-reload`.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// To where `NOTIFY_SOCKET` points; silent without it.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self { socket: None };
        };
        Self::to(name.as_bytes()).unwrap_or_else(|e| {
            tracing::warn!("cannot tell the service manager at NOTIFY_SOCKET={}: {e}", name.display());
            Self { socket: None }
        })
    }

    fn to(name: &[u8]) -> io::Result<Self> {
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        };
        Ok(Self { socket: Some((UnixDatagram::unbound()?, address)) })
    }

    /// It serves.
    pub(crate) fn ready(&self) {
        self.send("READY=1\n");
    }

    /// The configuration is being read again; [`Notifier::ready`] ends it.
    pub(crate) fn reloading(&self) {
        let time = clock_gettime(ClockId::Monotonic);
        let microseconds = time.tv_sec * 1_000_000 + time.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
    }

    /// It ends.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\n");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(e) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::warn!("cannot tell the service manager {:?}: {e}", message.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_paths_and_abstract_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let hidden = format!("xdp-lb-test-{}", std::process::id());
        for (name, address) in [
            (path.to_str().unwrap().to_owned(), SocketAddr::from_pathname(&path).unwrap()),
            (format!("@{hidden}"), SocketAddr::from_abstract_name(&hidden).unwrap()),
        ] {
            let manager = UnixDatagram::bind_addr(&address).unwrap();
            let notifier = Notifier::to(name.as_bytes()).unwrap();
            let received = || {
                let mut buffer = [0; 256];
                let size = manager.recv(&mut buffer).unwrap();
                String::from_utf8(buffer[..size].to_vec()).unwrap()
            };
            notifier.ready();
            assert_eq!(received(), "READY=1\n");
            notifier.reloading();
            let text = received();
            let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
            assert!(time.parse::<u64>().unwrap() > 0);
            notifier.stopping();
            assert_eq!(received(), "STOPPING=1\n");
        }
    }

    #[test]
    fn a_manager_that_went_away_is_no_reason_to_fail() {
        let dir = tempfile::tempdir().unwrap();
        Notifier::to(dir.path().join("gone").as_os_str().as_bytes()).unwrap().ready();
    }
}
