//! What the kernel's program does around the shared packet code, done on the host: counts, and sends to the backend.

use xdp_lb_common::balance::{Forward, Verdict, balance};
use xdp_lb_common::flow::Signal;
use xdp_lb_common::maps::{Settings, Traffic};
use xdp_lb_common::packet::{BufferPacket, PacketMut};
use xdp_lb_common::reason::Reason;

use super::{Action, Forwarded, Handled, HostTables, World};

impl World for HostTables {
    fn handle_with_room(&mut self, frame: &[u8], room: usize) -> Handled {
        let mut buffer = vec![0xa5; room];
        buffer.extend(frame);
        let mut packet = BufferPacket::new(&mut buffer, room);
        let (reason, action, forwarded) = match balance(&mut packet, &*self) {
            Verdict::Stop(reason) => (reason, Action::of(reason.outcome()), None),
            Verdict::Forward(forward) => match self.send(&mut packet, &forward) {
                Ok((reason, egress)) => (reason, Action::towards(egress), Some(count(&forward))),
                Err(reason) => (reason, Action::Drop, None),
            },
        };
        let bytes = packet.bytes().to_vec();
        self.note(reason, forwarded);
        Handled { reason, action, bytes, forwarded }
    }

    fn settings(&self) -> Settings {
        *self.current_settings()
    }
}

impl HostTables {
    /// By the next hop that the agent resolved, or else by the routing table.
    fn send(&self, packet: &mut BufferPacket<'_>, forward: &Forward<'_>) -> Result<(Reason, u32), Reason> {
        if forward.backend.is_resolved() {
            let about = matches!(forward.signal, Signal::About);
            let reason = if about { Reason::ForwardedIcmpError } else { Reason::Forwarded };
            return Ok((reason, forward.backend.egress));
        }
        let hop = self.routes.get(&forward.backend.address).ok_or(Reason::NoNextHop)?;
        if forward.ip_len > hop.mtu as usize {
            return Err(Reason::TooBig);
        }
        packet.store(0, hop.destination_mac).ok_or(Reason::TruncatedEthernet)?;
        packet.store(6, hop.source_mac).ok_or(Reason::TruncatedEthernet)?;
        Ok((Reason::ForwardedByRoute, hop.egress))
    }

    fn note(&mut self, reason: Reason, forwarded: Option<Forwarded>) {
        self.reasons[reason as usize] += 1;
        let Some(Forwarded { backend, counted }) = forwarded else { return };
        let passed = &mut self.passed[backend.index() as usize];
        *passed = *passed + counted;
    }
}

fn count(forward: &Forward<'_>) -> Forwarded {
    Forwarded {
        backend: forward.id,
        counted: Traffic {
            packets: 1,
            bytes: forward.bytes as u64,
            new_flows: forward.new_flow.into(),
            closes: matches!(forward.signal, Signal::Close).into(),
            unrecorded: forward.unrecorded.into(),
            reserved: [0; 3],
        },
    }
}
