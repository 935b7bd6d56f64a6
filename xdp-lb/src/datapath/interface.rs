//! What must be true of an interface before a program is attached to it.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, socket};

use super::ethtool;

/// An interface, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Largest IP packet.
    pub mtu: u32,
    /// Whether the driver merges received packets (LRO).
    pub lro: bool,
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of that name.
    #[error("interface {0} does not exist; `ip link` lists those that do")]
    Missing(String),
    /// Packets merged in hardware are larger than what may be sent.
    #[error("interface {0}: LRO merges packets before XDP sees them; turn it off: `ethtool -K {0} lro off`")]
    Lro(String),
    /// IPv6 needs 1280 bytes, and the tunnel header comes on top.
    #[error(
        "interface {name}: an MTU of {mtu} leaves no room for tunnelled packets; raise it: `ip link set dev {name} mtu {MIN_MTU}` or more"
    )]
    SmallMtu {
        /// Whose.
        name: String,
        /// As it is.
        mtu: u32,
    },
    /// The kernel did not say.
    #[error("interface {name}: cannot read its settings: {source}")]
    Unreadable {
        /// Whose.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// The least MTU: IPv6's minimum (RFC 8200 section 5) and an outer IPv6 header.
pub const MIN_MTU: u32 = 1280 + 40;

impl Interface {
    /// Looks `name` up and checks it.
    pub fn find(name: &str) -> Result<Self, InterfaceError> {
        let unreadable = |source| InterfaceError::Unreadable { name: name.into(), source };
        let control =
            socket(AddressFamily::INET, SocketType::DGRAM, None).map_err(|e| unreadable(e.into()))?;
        let index = index(&control, name).map_err(|error| match error.raw_os_error() {
            Some(libc::ENODEV) => InterfaceError::Missing(name.into()),
            _ => unreadable(error),
        })?;
        let mtu = mtu(&control, name).map_err(unreadable)?;
        let lro = ethtool::lro(&control, name).map_err(unreadable)?;
        let interface = Self { name: name.into(), index, mtu, lro };
        interface.check()?;
        Ok(interface)
    }

    fn check(&self) -> Result<(), InterfaceError> {
        if self.lro {
            return Err(InterfaceError::Lro(self.name.clone()));
        }
        if self.mtu < MIN_MTU {
            return Err(InterfaceError::SmallMtu { name: self.name.clone(), mtu: self.mtu });
        }
        Ok(())
    }
}

/// Index of the interface that has this name now.
pub(super) fn index_of(name: &str) -> io::Result<Option<u32>> {
    let control = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    match index(&control, name) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        index => index.map(Some),
    }
}

pub(super) fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: plain data, all of which may be zero.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    Ok(request)
}

pub(super) fn ioctl(control: &OwnedFd, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: an open socket, and a request as the numbers used here want it.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), number, request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn index(control: &OwnedFd, name: &str) -> io::Result<u32> {
    let mut request = request(name)?;
    ioctl(control, libc::SIOCGIFINDEX, &mut request)?;
    // SAFETY: the call filled this field in.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex } as u32)
}

fn mtu(control: &OwnedFd, name: &str) -> io::Result<u32> {
    let mut request = request(name)?;
    ioctl(control, libc::SIOCGIFMTU, &mut request)?;
    // SAFETY: the call filled this field in.
    Ok(unsafe { request.ifr_ifru.ifru_mtu } as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_mend() {
        let good = Interface { name: "eth0".into(), index: 2, mtu: 1500, lro: false };
        assert!(good.check().is_ok());
        for (bad, mend) in [
            (Interface { lro: true, ..good.clone() }, "ethtool -K eth0 lro off"),
            (Interface { mtu: 1280, ..good.clone() }, "ip link set dev eth0 mtu 1320"),
        ] {
            let message = bad.check().unwrap_err().to_string();
            assert!(message.contains(mend), "{message}");
        }
        let missing = Interface::find("nosuch0").unwrap_err().to_string();
        assert!(missing.starts_with("interface nosuch0 does not exist"), "{missing}");
    }

    #[test]
    fn the_loopback_is_found() {
        let loopback = Interface::find("lo").unwrap();
        assert_eq!(loopback.index, 1);
        assert!(loopback.mtu >= MIN_MTU);
    }
}
