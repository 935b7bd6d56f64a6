//! The kernel's counters, summed over CPUs, and over backends that are gone. As long as an agent lives no total falls; at
//! its end those of VIPs lose what passed to backends that went in its time, while the totals by reason keep it.

use std::collections::BTreeMap;

use aya::maps::{MapError, PerCpuValues};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{Traffic, names};
use xdp_lb_common::reason::Reason;

use super::kernel::KernelError;
use super::maps::Maps;
use crate::control::Counters;

/// No backend has this position: what passed to those that are gone is kept there, also beyond the agent.
const GONE: u32 = 0;

/// What the maps alone do not tell.
#[derive(Default)]
pub(super) struct Totals {
    /// What passed to backends that are gone, by VIP. A VIP that is gone itself is not in it: its id may name another.
    gone: BTreeMap<VipId, Traffic>,
    /// As last told.
    forwarded: u64,
}

impl Totals {
    /// Sums up. `backends` are all there are, with their VIPs.
    pub(super) fn read(
        &mut self,
        maps: &Maps,
        backends: &BTreeMap<BackendId, VipId>,
    ) -> Result<Counters, KernelError> {
        let map_error = |source| KernelError::Map { name: names::REASONS, source };
        let per_cpu = maps.reasons.get(&0, 0).map_err(map_error)?;
        let (mut of_vips, mut of_backends) = (Vec::new(), Vec::new());
        for (vip, passed) in &self.gone {
            add(&mut of_vips, vip.index(), *passed);
        }
        let mut all = traffic(maps, GONE)?;
        for (&backend, vip) in backends {
            let passed = traffic(maps, backend.index())?;
            all = all + passed;
            add(&mut of_backends, backend.index(), passed);
            add(&mut of_vips, vip.index(), passed);
        }
        let mut reasons: Vec<u64> =
            (0..Reason::COUNT).map(|reason| per_cpu.iter().map(|counts| counts[reason]).sum()).collect();
        // The fast path counts no reason: what is left of the packets forwarded is it. The two are not read at one
        // instant, so that the difference alone might fall by a few.
        let counted =
            reasons[Reason::ForwardedByRoute as usize] + reasons[Reason::ForwardedIcmpError as usize];
        self.forwarded = self.forwarded.max(all.packets.saturating_sub(counted));
        reasons[Reason::Forwarded as usize] = self.forwarded;
        Ok(Counters { vips: of_vips, backends: of_backends, reasons })
    }

    /// The backend is gone: its counters are zero for whoever has its id next. `vip` is whose it was, unless that is
    /// gone too.
    pub(super) fn retire(
        &mut self,
        maps: &mut Maps,
        backend: BackendId,
        vip: Option<VipId>,
    ) -> Result<(), KernelError> {
        let passed = traffic(maps, backend.index())?;
        let mut kept = vec![Traffic::default(); cpus()?];
        if let Some(first) = kept.first_mut() {
            *first = traffic(maps, GONE)? + passed;
        }
        set(maps, GONE, kept)?;
        set(maps, backend.index(), vec![Traffic::default(); cpus()?])?;
        if let Some(vip) = vip {
            let total = self.gone.entry(vip).or_default();
            *total = *total + passed;
        }
        Ok(())
    }

    /// Forgets the VIPs that are not `there`: who has their ids next begins at zero.
    pub(super) fn keep_vips(&mut self, there: impl Fn(&VipId) -> bool) {
        self.gone.retain(|vip, _| there(vip));
    }
}

/// What passed to a backend, over all CPUs.
fn traffic(maps: &Maps, index: u32) -> Result<Traffic, KernelError> {
    let per_cpu = maps.backend_traffic.get(&index, 0).map_err(map_error)?;
    Ok(per_cpu.iter().fold(Traffic::default(), |sum, cpu| sum + *cpu))
}

fn set(maps: &mut Maps, index: u32, per_cpu: Vec<Traffic>) -> Result<(), KernelError> {
    let values = PerCpuValues::try_from(per_cpu).map_err(|error| map_error(error.into()))?;
    maps.backend_traffic.set(index, values, 0).map_err(map_error)
}

fn cpus() -> Result<usize, KernelError> {
    aya::util::nr_cpus().map_err(|(_, error)| map_error(error.into()))
}

fn map_error(source: MapError) -> KernelError {
    KernelError::Map { name: names::BACKEND_TRAFFIC, source }
}

/// Adds `passed` to what is at `index`; the list grows as needed.
fn add(totals: &mut Vec<Traffic>, index: u32, passed: Traffic) {
    let position = index as usize;
    if totals.len() <= position {
        totals.resize(position + 1, Traffic::default());
    }
    totals[position] = totals[position] + passed;
}
