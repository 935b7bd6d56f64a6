//! Where a connection's packets go, and why: the kernel's rule in words.

use std::net::IpAddr;

use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::flow::{second_slot_of, slot_of};
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::slot::Slot;

use super::vip::Vip;
use super::{CandidateExplanation, ChoiceExplanation, Control, Explanation};
use crate::config::{Affinity, Protocol, Scheduler};

/// Why nothing can be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// No such VIP.
    #[error("no VIP {address} port {port} {protocol}; there are: {known}")]
    NoSuchVip {
        /// As asked.
        address: IpAddr,
        /// As asked.
        port: u16,
        /// As asked.
        protocol: &'static str,
        /// The VIPs there are, in words.
        known: String,
    },
}

impl Control {
    /// Explains where a connection to `vip` with this flow hash goes. `recorded` is the backend of its live recorded
    /// flow, where there is one, and `load` what a backend is worth to the choice of two by now. A VIP for any port answers
    /// for ports that have none of their own.
    pub fn explain(
        &self,
        vip: (IpAddr, u16, Protocol),
        flow_hash: u64,
        recorded: Option<BackendId>,
        load: impl Fn(BackendId) -> Option<BackendLoad>,
    ) -> Result<Explanation, ExplainError> {
        let (address, port, protocol) = vip;
        let id = self.keys.get(&vip).or_else(|| self.keys.get(&(address, 0, protocol)));
        let Some(vip) = id.and_then(|id| self.vips.get(id)) else {
            return Err(ExplainError::NoSuchVip {
                address,
                port,
                protocol: protocol.name(),
                known: self.known_vips(),
            });
        };
        let position = slot_of(flow_hash, vip.table.len());
        let slot = vip.table.slot(position);
        let choice = self.choice(vip, flow_hash, load);
        let looked_up = slot.is_tracked() || vip.config.affinity == Affinity::Flow || choice.is_some();
        let mut why = self.why(position, slot, looked_up, recorded);
        if let Some(choice) = &choice {
            why += &sentence(choice);
        }
        Ok(Explanation {
            vip: vip.config.name.clone(),
            slot: position,
            hash: flow_hash,
            current: slot.current().map(|id| self.name(id)),
            base: slot.base().map(|id| self.name(id)),
            tracked: slot.is_tracked(),
            recorded: recorded.map(|id| self.name(id)),
            choice: choice.map(Box::new),
            why,
        })
    }

    /// What a new connection with this flow hash chooses between, if it does.
    fn choice(
        &self,
        vip: &Vip,
        flow_hash: u64,
        load: impl Fn(BackendId) -> Option<BackendLoad>,
    ) -> Option<ChoiceExplanation> {
        let Scheduler::P2c { margin } = vip.config.scheduler else { return None };
        let margin = margin.in_thousandths();
        let second_slot = second_slot_of(flow_hash, vip.table.len());
        let candidate = |position: u32| {
            let id = vip.table.slot(position).current()?;
            Some((id, load(id).unwrap_or_default()))
        };
        let (first, second) = (candidate(slot_of(flow_hash, vip.table.len())), candidate(second_slot));
        let takes_second = match (&first, &second) {
            (Some((first, of_first)), Some((second, of_second))) => {
                let usable = self.backends.get(*second).is_some_and(super::backends::Backend::is_usable);
                first != second && usable && of_second.beats(of_first, margin)
            }
            _ => false,
        };
        let explained = |(id, load): (BackendId, BackendLoad)| CandidateExplanation {
            backend: self.name(id),
            standing: load.standing,
            per_flow: load.per_flow,
            in_flight: load.in_flight.max(0) as u32,
            load: load.total(),
        };
        let (first, second) = (first.map(explained), second.map(explained));
        Some(ChoiceExplanation { second_slot, first, second, margin, takes_second })
    }

    fn why(&self, position: u32, slot: Slot, looked_up: bool, recorded: Option<BackendId>) -> String {
        let name = |id: Option<BackendId>| id.map_or_else(|| "no backend".into(), |id| self.name(id));
        let (base, current) = (name(slot.base()), name(slot.current()));
        let rule = match (slot.is_tracked(), slot.is_moved()) {
            _ if slot.current().is_none() && slot.base().is_none() => {
                format!("Slot {position} has no backend: new connections are refused.")
            }
            (false, _) => format!("Slot {position} is stable: packets go to {current}."),
            (true, true) => format!(
                "Slot {position} moved from {base} to {current}: new connections go to {current}, those older than \
                 the move to {base}, and recorded ones stay where they are."
            ),
            (true, false) => format!(
                "Slot {position} leads to {current}; it moved not long ago, and recorded connections stay where they \
                 are."
            ),
        };
        let Some(id) = recorded else { return rule };
        let flow = self.name(id);
        let usable = self.backends.get(id).is_some_and(super::backends::Backend::is_usable);
        match (looked_up, usable) {
            (true, true) => format!("This connection is recorded and stays at {flow}. {rule}"),
            (true, false) => {
                format!("This connection is recorded to {flow}, which is down: that is ignored. {rule}")
            }
            (false, _) => format!("A flow recorded to {flow} is left over and not looked up. {rule}"),
        }
    }

    fn name(&self, id: BackendId) -> String {
        self.backends.get(id).map_or_else(|| format!("unknown backend {}", id.raw()), |b| b.name.clone())
    }

    fn known_vips(&self) -> String {
        let describe = |(address, port, protocol): &(IpAddr, u16, Protocol)| {
            let port = if *port == 0 { "any port".into() } else { format!("port {port}") };
            format!("{address} {port} {}", protocol.name())
        };
        let known: Vec<String> = self.keys.keys().map(describe).collect();
        if known.is_empty() { "none".into() } else { known.join(", ") }
    }
}

/// Which of the two a new connection takes.
fn sentence(choice: &ChoiceExplanation) -> String {
    let (Some(first), Some(second)) = (&choice.first, &choice.second) else { return String::new() };
    let taken = match (&first.backend, &second.backend) {
        (first, second) if first == second => format!("both are {first}"),
        (_, second) if choice.takes_second => {
            format!("{second} is the better one by more than the margin, if the connection can be recorded")
        }
        (first, second) => format!("{first}, as {second} is not better by more than the margin"),
    };
    format!(" A new connection chooses between this slot and slot {}: {taken}.", choice.second_slot)
}
