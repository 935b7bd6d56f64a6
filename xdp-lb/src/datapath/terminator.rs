//! The backend's side: the loaded program that takes tunnel headers off, and the interfaces it is on.

use std::net::IpAddr;
use std::path::PathBuf;

use aya::maps::{Array, Map, PerCpuArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use ipnet::IpNet;
use xdp_lb_common::decap::{DecapSettings, MAX_DECAP_ENTRIES, SourcePrefix};
use xdp_lb_common::maps::Address;
use xdp_lb_common::reason::Reason;

use super::encode::address;
use super::interface::Interface;
use super::kernel::AttachError;
use super::link::{self, Attached};
use super::maps::{MapsError, ReasonCounts};
use super::object;
use super::system;
use crate::config::DecapConfig;
use crate::control::InterfaceStatus;

const SETTINGS: &str = "DECAP_SETTINGS";
const REASONS: &str = "REASONS";

/// The decapsulating program in the kernel.
pub struct Terminator {
    ebpf: Ebpf,
    pins: PathBuf,
    attached: Vec<Attached>,
}

impl Terminator {
    /// Loads the program and puts it on the configured interfaces, in place of what an earlier run left there.
    pub fn attach(config: &DecapConfig) -> Result<Self, AttachError> {
        system::check()?;
        let interfaces =
            config.interfaces.iter().map(|name| Interface::find(name)).collect::<Result<Vec<_>, _>>()?;
        system::prepare_pins(&config.pin_dir)?;
        let mut terminator = Self::load(config)?;
        for interface in interfaces {
            let program = terminator.program()?;
            let attached = Attached::new(program, interface, config.xdp_mode, &config.pin_dir)?;
            terminator.attached.push(attached);
        }
        link::remove_others(&config.pin_dir, &terminator.attached)
            .map_err(|source| AttachError::Pins { path: config.pin_dir.clone(), source })?;
        Ok(terminator)
    }

    /// Loads the program without attaching it.
    pub fn load(config: &DecapConfig) -> Result<Self, AttachError> {
        let ebpf = EbpfLoader::new().load(object::DECAP).map_err(MapsError::from)?;
        let mut terminator = Self { ebpf, pins: config.pin_dir.clone(), attached: Vec::new() };
        terminator.configure(config)?;
        terminator.program()?.load()?;
        Ok(terminator)
    }

    /// Makes `config` the one in force: addresses and sources; interfaces stay.
    pub fn configure(&mut self, config: &DecapConfig) -> Result<(), AttachError> {
        let map = self.ebpf.map_mut(SETTINGS).ok_or(MapsError::Missing(SETTINGS))?;
        let map_error = |source| MapsError::Map { name: SETTINGS, source };
        let mut array: Array<_, DecapSettings> = map.try_into().map_err(map_error)?;
        array.set(0, settings(config), 0).map_err(map_error)?;
        Ok(())
    }

    /// The loaded program, for test runs.
    pub fn program(&mut self) -> Result<&mut Xdp, AttachError> {
        let program = self.ebpf.program_mut("xdp_lb_decap").ok_or(AttachError::NoProgram("xdp_lb_decap"))?;
        Ok(program.try_into()?)
    }

    /// Packets by reason, zeros left out.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, AttachError> {
        let map_error = |source| MapsError::Map { name: REASONS, source };
        let map: &Map = self.ebpf.map(REASONS).ok_or(MapsError::Missing(REASONS))?;
        let counts: PerCpuArray<_, ReasonCounts> = map.try_into().map_err(map_error)?;
        let per_cpu = counts.get(&0, 0).map_err(map_error)?;
        let total = |reason: &Reason| per_cpu.iter().map(|counts| counts[*reason as usize]).sum();
        Ok(Reason::ALL.iter().map(|reason| (*reason, total(reason))).filter(|&(_, n)| n > 0).collect())
    }

    /// Where the program is attached and how.
    pub fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.attached.iter().map(Attached::status).collect()
    }

    /// Why an interface that was to be native is generic, for the log.
    pub fn fallbacks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attached.iter().filter_map(Attached::fallback)
    }

    /// Takes the program off, or leaves it for the next run.
    pub fn detach(self, leave_attached: bool) -> Result<(), AttachError> {
        if leave_attached {
            return Ok(());
        }
        for attached in self.attached {
            attached.detach()?;
        }
        link::remove_pins(&self.pins).map_err(|source| AttachError::Pins { path: self.pins, source })
    }
}

fn settings(config: &DecapConfig) -> DecapSettings {
    let mut settings = DecapSettings::default();
    for (place, own) in settings.addresses.iter_mut().zip(config.addresses.iter().take(MAX_DECAP_ENTRIES)) {
        *place = address(*own);
    }
    for (place, source) in settings.sources.iter_mut().zip(config.sources.iter().take(MAX_DECAP_ENTRIES)) {
        *place = prefix(source);
    }
    settings
}

/// A prefix over addresses as the maps hold them, where IPv4 is v4-mapped.
fn prefix(net: &IpNet) -> SourcePrefix {
    let ones = Address([u64::MAX, u64::MAX]);
    let mask = match net.netmask() {
        IpAddr::V4(mask) => Address([ones.0[0], address(IpAddr::V4(mask)).0[1] | 0xffff_ffff]),
        IpAddr::V6(mask) => Address::from_v6(mask.octets()),
    };
    SourcePrefix { network: address(net.network()), mask }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_their_addresses_only() {
        for (net, inside, outside) in [
            ("172.16.0.0/16", "172.16.255.1", "172.17.0.1"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.0"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("100::/64", "100::ffff:1", "100:0:0:1::1"),
            ("2001:db8::1/128", "2001:db8::1", "2001:db8::2"),
        ] {
            let prefix = prefix(&net.parse().unwrap());
            for (text, expected) in [(inside, true), (outside, false)] {
                assert_eq!(prefix.contains(address(text.parse().unwrap())), expected, "{text} in {net}");
            }
        }
    }
}
