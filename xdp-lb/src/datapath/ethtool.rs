//! What `ethtool -k` shows of an interface, as far as it matters to XDP.

use std::io;
use std::os::fd::OwnedFd;

use super::interface::{ioctl, request};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETH_FLAG_LRO: u32 = 1 << 15;
const ETH_SS_FEATURES: u32 = 4;

/// Bytes of a feature's name.
const NAME_LEN: usize = 32;

/// Whether the driver merges received packets.
pub(super) fn lro(control: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut flags = [ETHTOOL_GFLAGS, 0];
    Ok(ask(control, interface, &mut flags)? && flags[1] & ETH_FLAG_LRO != 0)
}

/// Whether the feature called `name` is on. One that the kernel does not know is off.
pub(super) fn feature(control: &OwnedFd, interface: &str, name: &str) -> io::Result<bool> {
    // `struct ethtool_sset_info`: command, reserved, mask of sets as two words, one count.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0, 0];
    if !ask(control, interface, &mut info)? {
        return Ok(false);
    }
    let count = info[4] as usize;
    // `struct ethtool_gstrings`: command, set, count, names. The kernel fills in as many as it has.
    let mut strings = vec![0; 3 + count * NAME_LEN / 4];
    strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, info[4]]);
    if !ask(control, interface, &mut strings)? {
        return Ok(false);
    }
    let bytes: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut names = bytes.chunks_exact(NAME_LEN).map(|bytes| bytes.split(|&byte| byte == 0).next());
    let Some(position) = names.position(|found| found == Some(name.as_bytes())) else { return Ok(false) };
    // `struct ethtool_gfeatures`: command, blocks, and for each 32 features available, requested, active, unchangeable.
    let blocks = count.div_ceil(32);
    let mut features = vec![0; 2 + 4 * blocks];
    features[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks as u32]);
    let answered = ask(control, interface, &mut features)?;
    Ok(answered && features[2 + position / 32 * 4 + 2] & 1 << (position % 32) != 0)
}

/// Has the kernel fill in `words`, the first of which is the command. Whether it did: a driver without these settings
/// merges nothing.
fn ask(control: &OwnedFd, interface: &str, words: &mut [u32]) -> io::Result<bool> {
    let mut request = request(interface)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    match ioctl(control, SIOCETHTOOL, &mut request) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketType, socket};

    use super::*;

    #[test]
    fn features_are_found_by_their_names() {
        let control = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        // The loopback interface has these two for good, one on and one off (`ethtool -k lo`).
        for (name, on) in [("loopback", true), ("rx-gro-hw", false), ("no-such-feature", false)] {
            assert_eq!(feature(&control, "lo", name).unwrap(), on, "{name}");
        }
        assert!(!lro(&control, "lo").unwrap());
    }
}
