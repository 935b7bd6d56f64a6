//! What `ethtool -k` shows of an interface, as far as it matters to XDP: LRO. (The kernel turns `rx-gro-hw`, which
//! merges packets as well, off by itself for XDP in the stack; a driver does so or refuses the program.)

use std::io;
use std::os::fd::OwnedFd;

use super::interface::{ioctl, request};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETH_FLAG_LRO: u32 = 1 << 15;

/// Whether the driver merges received packets. One without these settings merges nothing.
pub(super) fn lro(control: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut flags = [ETHTOOL_GFLAGS, 0];
    let mut request = request(interface)?;
    request.ifr_ifru.ifru_data = flags.as_mut_ptr().cast();
    match ioctl(control, SIOCETHTOOL, &mut request) {
        Ok(()) => Ok(flags[1] & ETH_FLAG_LRO != 0),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}
