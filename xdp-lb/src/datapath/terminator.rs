//! The backend's side: the loaded program that takes tunnel headers off, and the interfaces it is on.

use std::net::IpAddr;

use aya::maps::{Array, Map, PerCpuArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use ipnet::IpNet;
use xdp_lb_common::decap::{DecapSettings, MAX_DECAP_ENTRIES, SourcePrefix};
use xdp_lb_common::maps::Address;
use xdp_lb_common::reason::Reason;

use super::InterfaceChange;
use super::encode::address;
use super::interface::Interface;
use super::kernel::AttachError;
use super::maps::{MapsError, ReasonCounts};
use super::object;
use super::pins::Pins;
use super::ports::Ports;
use super::system;
use crate::config::DecapConfig;

const SETTINGS: &str = "DECAP_SETTINGS";
const REASONS: &str = "REASONS";

/// The decapsulating program in the kernel.
pub struct Terminator {
    ebpf: Ebpf,
    ports: Ports,
    /// Last, so that the next process finds everything in order when the folder is free.
    pins: Option<Pins>,
}

impl Terminator {
    /// Loads the program and puts it on the configured interfaces, in place of what an earlier run left there. Where
    /// that fails, everything is as it was.
    pub fn attach(config: &DecapConfig) -> Result<Self, AttachError> {
        system::check()?;
        let interfaces =
            config.interfaces.iter().map(|name| Interface::find(name)).collect::<Result<Vec<_>, _>>()?;
        let pins = Pins::take(&config.pin_dir, &[])?;
        let start = || {
            let mut terminator = Self::load(config)?;
            terminator.ports = Ports::attach(terminator.program()?, interfaces, config.xdp_mode, &pins)?;
            terminator.ports.clear_others(&pins)?;
            Ok(terminator)
        };
        match start() {
            Ok(terminator) => Ok(Self { pins: Some(pins), ..terminator }),
            Err(error) => {
                pins.undo();
                Err(error)
            }
        }
    }

    /// Loads the program without attaching it.
    pub fn load(config: &DecapConfig) -> Result<Self, AttachError> {
        let ebpf = EbpfLoader::new().load(object::DECAP).map_err(MapsError::from)?;
        let mut terminator = Self { ebpf, ports: Ports::none(), pins: None };
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
        xdp(&mut self.ebpf)
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

    /// In which mode the program is on each interface and why, for the log.
    pub fn attachments(&self) -> Vec<InterfaceChange> {
        self.ports.describe()
    }

    /// Notices interfaces that are gone, and attaches to those that are back. To be called every second.
    pub fn watch_interfaces(&mut self) -> Vec<InterfaceChange> {
        match (xdp(&mut self.ebpf), &self.pins) {
            (Ok(program), Some(pins)) => self.ports.watch(program, pins),
            _ => Vec::new(),
        }
    }

    /// Takes the program off, or leaves it for the next run.
    pub fn detach(self, leave_attached: bool) -> Result<(), AttachError> {
        match &self.pins {
            Some(pins) if !leave_attached => Ok(pins.remove()?),
            _ => Ok(()),
        }
    }
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, AttachError> {
    let program = ebpf.program_mut("xdp_lb_decap").ok_or(AttachError::NoProgram("xdp_lb_decap"))?;
    Ok(program.try_into()?)
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
