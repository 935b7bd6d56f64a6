//! The backend's side: the shared code on the host, and the program in the kernel.

use aya::maps::{Array, PerCpuArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use xdp_lb::datapath::encode::address;
use xdp_lb::datapath::object;
use xdp_lb_common::decap::{DecapSettings, SourcePrefix, decapsulate};
use xdp_lb_common::maps::Address;
use xdp_lb_common::packet::BufferPacket;
use xdp_lb_common::reason::Reason;

use super::kernel::{stay_on_this_cpu, test_run};
use super::{Action, DRIVER_ROOM, Handled};

/// The shared code by these settings.
#[derive(Clone, Copy, Debug)]
pub struct HostTerminator(pub DecapSettings);

impl HostTerminator {
    /// Ends tunnels at `addresses` that come from `sources`, prefixes as `172.16.0.0/16`.
    ///
    /// # Panics
    ///
    /// If one of them is none.
    pub fn new(addresses: &[&str], sources: &[&str]) -> Self {
        let mut settings = DecapSettings::default();
        for (place, text) in settings.addresses.iter_mut().zip(addresses) {
            *place = address(text.parse().unwrap_or_else(|e| panic!("{text}: {e}")));
        }
        for (place, text) in settings.sources.iter_mut().zip(sources) {
            *place = prefix(text);
        }
        Self(settings)
    }

    /// Handles one frame.
    pub fn handle(&self, frame: &[u8]) -> Handled {
        let mut buffer = frame.to_vec();
        let mut packet = BufferPacket::new(&mut buffer, 0);
        let reason = decapsulate(&mut packet, &self.0);
        let bytes = packet.bytes().to_vec();
        Handled { reason, action: Action::of(reason.outcome()), bytes, forwarded: None }
    }
}

fn prefix(text: &str) -> SourcePrefix {
    let parsed =
        text.split_once('/').and_then(|(network, bits)| Some((network.parse().ok()?, bits.parse().ok()?)));
    let Some((network, bits)): Option<(std::net::IpAddr, u32)> = parsed else { panic!("{text}: no prefix") };
    let bits = if network.is_ipv4() { bits + 96 } else { bits };
    let ones = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    SourcePrefix { network: address(network), mask: Address::from_v6(ones.to_be_bytes()) }
}

/// The program in the kernel, loaded and not attached.
pub struct KernelTerminator {
    ebpf: Ebpf,
    counted: [u64; Reason::ROOM],
}

impl KernelTerminator {
    /// Loads the program with the same settings; ties the calling thread to its CPU.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn load(settings: &DecapSettings) -> Self {
        stay_on_this_cpu();
        let mut ebpf = EbpfLoader::new().load(object::DECAP).unwrap_or_else(|e| panic!("loading: {e}"));
        let map =
            ebpf.map_mut("DECAP_SETTINGS").unwrap_or_else(|| panic!("the object has no DECAP_SETTINGS"));
        let mut map: Array<_, DecapSettings> =
            map.try_into().unwrap_or_else(|e| panic!("DECAP_SETTINGS: {e}"));
        map.set(0, settings, 0).unwrap_or_else(|e| panic!("DECAP_SETTINGS: {e}"));
        let mut terminator = Self { ebpf, counted: [0; Reason::ROOM] };
        terminator.program().load().unwrap_or_else(|e| panic!("loading: {e}"));
        terminator
    }

    /// Handles one frame.
    pub fn handle(&mut self, frame: &[u8]) -> Handled {
        let (action, bytes) = test_run(self.program(), frame, DRIVER_ROOM);
        let counters = self.counters();
        let before = std::mem::replace(&mut self.counted, counters);
        let mut changed = Reason::ALL
            .iter()
            .filter(|&&reason| self.counted[reason as usize] == before[reason as usize] + 1);
        let (Some(&reason), None) = (changed.next(), changed.next()) else {
            panic!("not counted under one reason")
        };
        Handled { reason, action, bytes, forwarded: None }
    }

    fn program(&mut self) -> &mut Xdp {
        let program = self.ebpf.program_mut("xdp_lb_decap").map(TryInto::try_into);
        let Some(Ok(program)) = program else { panic!("the object has no program xdp_lb_decap") };
        program
    }

    fn counters(&self) -> [u64; Reason::ROOM] {
        let map = self.ebpf.map("REASONS").map(PerCpuArray::<_, [u64; Reason::ROOM]>::try_from);
        let Some(Ok(map)) = map else { panic!("the object has no REASONS") };
        let per_cpu = map.get(&0, 0).unwrap_or_else(|e| panic!("REASONS: {e}"));
        std::array::from_fn(|reason| per_cpu.iter().map(|counts| counts[reason]).sum())
    }
}
