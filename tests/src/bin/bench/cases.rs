//! What is measured.

use crate::frames::Frame;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Case {
    /// As `--json` names it.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) frame: Frame,
    /// Clients that take turns; a power of two.
    pub(crate) clients: u32,
    pub(crate) warm_up: WarmUp,
    /// More packets than this would fill the flow table.
    pub(crate) most_packets: u32,
    /// The floor it is compared with, and the multiple that is aimed at.
    pub(crate) aim: Option<(&'static str, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    PassFloor,
    PushFloor,
    Balancer,
}

/// What comes before a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WarmUp {
    Nothing,
    /// A packet of every client, so that its flow is recorded.
    EveryClient,
    /// All recorded flows of the case's VIP are removed.
    Purge,
}

const MANY: u32 = u32::MAX;
/// A client for every packet, for as long as anybody measures.
const NEVER_THE_SAME: u32 = 1 << 24;

const fn case(name: &'static str, frame: Frame, clients: u32, aim: f64) -> Case {
    Case {
        name,
        program: Program::Balancer,
        frame,
        clients,
        warm_up: WarmUp::Nothing,
        most_packets: MANY,
        aim: Some(("push_floor", aim)),
    }
}

const fn floor(name: &'static str, program: Program) -> Case {
    Case { program, aim: None, ..case(name, Frame::TCP4, 1, 0.0) }
}

pub(crate) const FLOORS: [Case; 2] =
    [floor("pass_floor", Program::PassFloor), floor("push_floor", Program::PushFloor)];

pub(crate) const CASES: [Case; 12] = [
    case("tcp4_one_flow", Frame::TCP4, 1, 1.6),
    case("tcp4_64k_flows", Frame::TCP4, 1 << 16, 1.6),
    case("tcp4_1m_flows", Frame::TCP4, 1 << 20, 1.7),
    case("tcp4_new_flows", Frame::TCP4_SYN, NEVER_THE_SAME, 1.7),
    Case { warm_up: WarmUp::EveryClient, ..case("tcp4_64k_moved_hit", Frame::TCP4_MOVED, 1 << 16, 4.5) },
    Case {
        warm_up: WarmUp::Purge,
        most_packets: 1 << 18,
        ..case("tcp4_moved_new", Frame::TCP4_MOVED_SYN, NEVER_THE_SAME, 5.0)
    },
    case("tcp4_p2c_64k_flows", Frame::TCP4_TWO, 1 << 16, 4.5),
    Case {
        warm_up: WarmUp::Purge,
        most_packets: 1 << 18,
        ..case("tcp4_p2c_new", Frame::TCP4_TWO_SYN, NEVER_THE_SAME, 6.0)
    },
    case("udp4_64k_flows", Frame::UDP4, 1 << 16, 1.6),
    case("tcp6_one_flow", Frame::TCP6, 1, 1.6),
    case("tcp6_64k_flows", Frame::TCP6, 1 << 16, 1.6),
    Case { aim: Some(("pass_floor", 1.4)), ..case("not_a_vip", Frame::OTHER, 1 << 16, 0.0) },
];
