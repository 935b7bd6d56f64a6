//! One row of the table: what was before, a frame, and what is to become of it.

use xdp_lb::control::Command;
use xdp_lb_common::ids::VipId;
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::reason::{Outcome, Reason};
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{Packet, verify};
use xdp_lb_tests::world::services::{self, Server};
use xdp_lb_tests::world::{Action, DRIVER_ROOM, Forwarded, Handled, World};

/// A frame under test.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) description: &'static str,
    before: Vec<Step>,
    pub(crate) frame: Vec<u8>,
    packet: Option<Packet>,
    room: usize,
    expected: Option<Expected>,
}

/// What happens before the frame comes.
#[derive(Clone)]
pub(crate) enum Step {
    Order(Command),
    Frame(Vec<u8>),
    Seconds(u64),
}

#[derive(Clone)]
struct Expected {
    reason: Reason,
    action: Action,
    /// `None` where a dropped frame is left half written.
    bytes: Option<Vec<u8>>,
    forwarded: Option<Forwarded>,
}

/// A row about `packet`, for which one of `passed`, `dropped`, `answered` and `forwarded` is to follow.
pub(crate) fn row(description: &'static str, packet: &Packet) -> Row {
    Row { packet: Some(packet.clone()), ..raw_row(description, packet.frame()) }
}

/// The same about any bytes.
pub(crate) fn raw_row(description: &'static str, frame: Vec<u8>) -> Row {
    Row { description, before: Vec::new(), frame, packet: None, room: DRIVER_ROOM, expected: None }
}

impl Row {
    /// Leads every slot of the VIP's table to one server.
    pub(crate) fn to(self, vip: VipId, server: Server) -> Self {
        self.slots(vip, Slot::stable(server.id()))
    }

    /// Makes every slot of the VIP's table a tracked one.
    pub(crate) fn moved(self, vip: VipId, base: Server, current: Server) -> Self {
        self.slots(vip, Slot::tracked(base.id(), current.id()))
    }

    /// Lets the agent order something.
    pub(crate) fn order(self, command: Command) -> Self {
        self.step(Step::Order(command))
    }

    pub(crate) fn slots(self, vip: VipId, slot: Slot) -> Self {
        self.step(Step::Order(services::table(vip, slot)))
    }

    /// Lets a server go down.
    pub(crate) fn down(self, server: Server) -> Self {
        self.step(Step::Order(Command::WriteBackend(server.record(true))))
    }

    /// Removes the flows recorded to a server.
    pub(crate) fn purged(self, server: Server) -> Self {
        self.step(Step::Order(Command::PurgeFlows(server.id())))
    }

    /// Another packet came before.
    pub(crate) fn after(self, packet: &Packet) -> Self {
        self.step(Step::Frame(packet.frame()))
    }

    /// Others came before.
    pub(crate) fn after_all(self, packets: impl IntoIterator<Item = Packet>) -> Self {
        packets.into_iter().fold(self, |row, packet| row.after(&packet))
    }

    pub(crate) fn seconds_later(self, seconds: u64) -> Self {
        self.step(Step::Seconds(seconds))
    }

    fn step(mut self, step: Step) -> Self {
        self.before.push(step);
        self
    }

    /// The driver leaves only so much room before the frame.
    pub(crate) fn room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    pub(crate) fn passed(self, reason: Reason) -> Self {
        assert_eq!(reason.outcome(), Outcome::Pass, "{}", self.description);
        let bytes = self.frame.clone();
        self.expect(reason, Some(bytes))
    }

    /// Dropped, with nothing written to it.
    pub(crate) fn dropped(self, reason: Reason) -> Self {
        assert_eq!(reason.outcome(), Outcome::Drop, "{}", self.description);
        let bytes = self.frame.clone();
        self.expect(reason, Some(bytes))
    }

    /// Dropped when it was half written.
    pub(crate) fn dropped_late(self, reason: Reason) -> Self {
        self.expect(reason, None)
    }

    /// Turned into this packet and sent back, or (by the backend's program) left to the host.
    pub(crate) fn answered(self, reason: Reason, packet: &Packet) -> Self {
        self.expect(reason, Some(packet.frame()))
    }

    pub(crate) fn became(self, reason: Reason, bytes: Vec<u8>) -> Self {
        self.expect(reason, Some(bytes))
    }

    fn expect(mut self, reason: Reason, bytes: Option<Vec<u8>>) -> Self {
        let action = Action::of(reason.outcome());
        self.expected = Some(Expected { reason, action, bytes, forwarded: None });
        self
    }

    /// Sent to `server`, which is on the same segment: only the MAC addresses change.
    pub(crate) fn reaches(self, server: Server) -> Self {
        self.reaches_as(Reason::Forwarded, server)
    }

    pub(crate) fn reaches_as(self, reason: Reason, server: Server) -> Self {
        let packet = self.packet.as_ref().map(|packet| server.addressed(packet));
        let packet = packet.unwrap_or_else(|| panic!("{}: made of raw bytes", self.description));
        self.forwarded_as(reason, server, &packet)
    }

    /// Sent to `server` as this packet.
    pub(crate) fn forwarded(self, server: Server, packet: &Packet) -> Self {
        self.forwarded_as(Reason::Forwarded, server, packet)
    }

    pub(crate) fn forwarded_as(self, reason: Reason, server: Server, packet: &Packet) -> Self {
        self.forwarded_bytes(reason, server, packet.frame())
    }

    pub(crate) fn forwarded_bytes(mut self, reason: Reason, server: Server, bytes: Vec<u8>) -> Self {
        let counted = Traffic { packets: 1, bytes: self.frame.len() as u64, ..Traffic::default() };
        self.expected = Some(Expected {
            reason,
            action: Action::towards(server.way.map_or(services::OTHER, |(egress, _)| egress)),
            bytes: Some(bytes),
            forwarded: Some(Forwarded { backend: server.id(), counted }),
        });
        self
    }

    /// And counted as a new flow.
    pub(crate) fn new_flow(self) -> Self {
        self.counted(|traffic| traffic.new_flows = 1)
    }

    /// And counted as the end of one.
    pub(crate) fn close(self) -> Self {
        self.counted(|traffic| traffic.closes = 1)
    }

    /// And counted as one that could not be recorded.
    pub(crate) fn unrecorded(self) -> Self {
        self.counted(|traffic| traffic.unrecorded = 1)
    }

    fn counted(mut self, change: impl FnOnce(&mut Traffic)) -> Self {
        if let Some(forwarded) = self.expected.as_mut().and_then(|expected| expected.forwarded.as_mut()) {
            change(&mut forwarded.counted);
        }
        self
    }

    /// Why it is to go where it goes.
    pub(crate) fn reason(&self) -> Reason {
        self.expected.as_ref().unwrap_or_else(|| panic!("{}: expects nothing", self.description)).reason
    }

    /// Runs the row in a world that is led back to its beginning; the error says how it ended otherwise.
    pub(crate) fn run(&self, world: &mut impl World) -> Result<(), String> {
        services::apply(world, &services::reset());
        world.advance_epoch(std::time::Duration::from_secs(1));
        for step in &self.before {
            match step {
                Step::Order(command) => services::apply(world, std::slice::from_ref(command)),
                Step::Frame(frame) => drop(world.handle(frame)),
                Step::Seconds(seconds) => world.advance_epoch(std::time::Duration::from_secs(*seconds)),
            }
        }
        self.judge(&world.handle_with_room(&self.frame, self.room))
    }

    /// Compares what came out with what was to come out.
    pub(crate) fn judge(&self, got: &Handled) -> Result<(), String> {
        let expected = self.expected.as_ref().ok_or("expects nothing")?;
        let bytes = expected.bytes.as_ref().unwrap_or(&got.bytes);
        let same = (expected.reason, expected.action, expected.forwarded)
            == (got.reason, got.action, got.forwarded)
            && *bytes == got.bytes;
        if !same {
            return Err(format!(
                "{}\n  expected {:?} {:?} {:?}\n           {}\n  got      {:?} {:?} {:?}\n           {}",
                self.description,
                expected.reason,
                expected.action,
                expected.forwarded,
                hex(bytes),
                got.reason,
                got.action,
                got.forwarded,
                hex(&got.bytes),
            ));
        }
        let sent = expected.reason.outcome() != Outcome::Drop && verify::frame(&self.frame).is_ok();
        match verify::frame(&got.bytes) {
            Err(error) if sent => Err(format!("{}: {error}: {}", self.description, hex(&got.bytes))),
            _ => Ok(()),
        }
    }
}

/// Bytes as people compare them, the end of long frames left out.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(160).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {shown}", bytes.len())
}
