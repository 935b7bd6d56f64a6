//! Slots whose backend moved: who stays, who goes, and what happens where a flow cannot be recorded.
//!
//! The flow table is one bucket of eight words; twelve flows a second are recorded; idle flows give their place up
//! after 10 seconds.

use xdp_lb_common::reason::Reason;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{ACK, FIN, Packet, RST, SYN, icmp, udp};
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [connections(), no_room(), datagrams(), errors()].concat()
}

/// A connection to the VIP whose slots moved from `BACK` to `ACROSS`.
fn moved(description: &'static str, packet: &Packet) -> Row {
    row(description, packet).moved(WEB4, BACK, ACROSS)
}

fn connections() -> Vec<Row> {
    let fin = ack4().flags(FIN | ACK);
    let rst = ack4().flags(RST);
    vec![
        moved("a new connection goes to the new backend", &syn4()).reaches(ACROSS).new_flow(),
        moved("and stays there", &ack4()).after(&syn4()).reaches(ACROSS),
        moved("a connection older than the move stays", &ack4()).reaches(BACK),
        moved("and goes on to stay", &fin).after(&ack4()).reaches(BACK).close(),
        moved("an older one stays when the slot settles", &ack4())
            .after(&ack4())
            .moved(WEB4, ACROSS, ACROSS)
            .reaches(BACK),
        moved("a second move leaves recorded connections", &ack4())
            .after(&syn4())
            .moved(WEB4, BACK, TUNNEL4)
            .reaches(ACROSS),
        row("an unrecorded connection in a settled slot needs no record", &ack4())
            .moved(WEB4, ACROSS, ACROSS)
            .reaches(ACROSS),
        row("and takes no place from others", &syn4())
            .moved(WEB4, ACROSS, ACROSS)
            .after_all((0..8).map(|n| nth(n, ACK)))
            .moved(WEB4, ACROSS, BACK)
            .reaches(BACK)
            .new_flow(),
        moved("SYN sent again goes the same way", &syn4()).after(&syn4()).reaches(ACROSS).new_flow(),
        moved("SYN sent again after a move goes the same way", &syn4())
            .after(&syn4())
            .moved(WEB4, BACK, SMALL)
            .reaches(ACROSS)
            .new_flow(),
        moved("the last ACK of a closed connection", &ack4()).after(&syn4()).after(&fin).reaches(ACROSS),
        moved("the same client opens anew after FIN", &syn4())
            .after(&syn4())
            .after(&fin)
            .seconds_later(2)
            .moved(WEB4, BACK, SMALL)
            .reaches(SMALL)
            .new_flow(),
        moved("a SYN right behind an RST, both perhaps forged, moves nothing", &ack4())
            .after(&syn4())
            .after(&rst)
            .seconds_later(1)
            .moved(WEB4, BACK, SMALL)
            .after(&syn4())
            .reaches(ACROSS),
        moved("and after RST, and stays there", &ack4())
            .after(&syn4())
            .after(&rst)
            .seconds_later(2)
            .moved(WEB4, BACK, SMALL)
            .after(&syn4())
            .reaches(SMALL),
        moved("a record of a backend that is down does not count", &ack4())
            .after(&syn4())
            .down(ACROSS)
            .reaches(BACK),
        moved("nor for a new connection", &syn4())
            .after(&syn4())
            .down(ACROSS)
            .moved(WEB4, BACK, SMALL)
            .reaches(SMALL)
            .new_flow(),
        moved("both backends are down", &ack4()).down(BACK).down(ACROSS).dropped(Reason::BackendDown),
        moved("a purged record does not count", &ack4()).after(&syn4()).purged(ACROSS).reaches(BACK),
        row("over IPv6", &ack6()).moved(WEB6, BACK, ACROSS).after(&syn6()).reaches(ACROSS),
        row("an older connection over IPv6", &ack6()).moved(WEB6, BACK, ACROSS).reaches(BACK),
    ]
}

fn no_room() -> Vec<Row> {
    let eight = || (0..8).map(|n| nth(n, SYN));
    let more = || (8..12).map(|n| nth(n, SYN));
    let last_ack = nth(3, ACK);
    vec![
        moved("no place: a new connection goes to the old backend", &syn4())
            .after_all(eight())
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        moved("and its next packet as well", &ack4())
            .after_all(eight())
            .after(&syn4())
            .reaches(BACK)
            .unrecorded(),
        moved("no place: recorded ones stay", &last_ack).after_all(eight()).after(&syn4()).reaches(ACROSS),
        moved("idle for as long as allowed", &syn4())
            .after_all(eight())
            .seconds_later(10)
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        moved("idle for longer: the place is taken", &ack4())
            .after_all(eight())
            .seconds_later(11)
            .after(&syn4())
            .reaches(ACROSS),
        moved("idle for longer, and nobody took the place: stays", &last_ack)
            .after_all(eight())
            .seconds_later(60)
            .reaches(ACROSS),
        moved("seen again in time: the place is not given up", &syn4())
            .after_all(eight())
            .seconds_later(9)
            .after_all((0..8).map(|n| nth(n, ACK)))
            .seconds_later(9)
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        moved("closed for two minutes: the place is kept", &syn4())
            .after_all(eight())
            .after_all((0..8).map(|n| nth(n, RST)))
            .seconds_later(120)
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        moved("closed for longer: the place is taken", &ack4())
            .after_all(eight())
            .after_all((0..8).map(|n| nth(n, RST)))
            .seconds_later(121)
            .after(&syn4())
            .reaches(ACROSS),
        moved("over the limit: a new connection goes to the old backend", &syn4())
            .after_all(eight())
            .purged(ACROSS)
            .after_all(more())
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        moved("and its next packet as well, a second later", &ack4())
            .after_all(eight())
            .purged(ACROSS)
            .after_all(more())
            .after(&syn4())
            .seconds_later(1)
            .reaches(BACK),
        moved("the limit is one of a second", &ack4())
            .after_all(eight())
            .purged(ACROSS)
            .after_all(more())
            .seconds_later(1)
            .after(&syn4())
            .reaches(ACROSS),
    ]
}

fn datagrams() -> Vec<Row> {
    let call = |n: u16| udp(&format!("198.51.100.9:{}", 2000 + n), SIP4_AT).payload(b"INVITE");
    vec![
        row("UDP follows the table", &query4()).moved(DNS4, BACK, ACROSS).reaches(ACROSS),
        row("UDP follows the table again", &query6())
            .after(&query6())
            .slots(DNS6, Slot::stable(ACROSS.id()))
            .reaches(ACROSS),
        row("affinity: the first datagram is a new flow", &call(0)).reaches(BACK).new_flow(),
        row("affinity: the second is not", &call(0)).after(&call(0)).reaches(BACK),
        row("affinity: a flow stays", &call(0)).after(&call(0)).to(SIP4, ACROSS).reaches(BACK),
        row("affinity: a new one does not", &call(1))
            .after(&call(0))
            .to(SIP4, ACROSS)
            .reaches(ACROSS)
            .new_flow(),
        row("affinity: a flow of a moved slot stays", &call(0))
            .after(&call(0))
            .moved(SIP4, ACROSS, SMALL)
            .reaches(BACK),
        row("affinity: a new one goes to the new backend", &call(0))
            .moved(SIP4, BACK, ACROSS)
            .reaches(ACROSS)
            .new_flow(),
        row("affinity: a backend that is down loses its flows", &call(0))
            .after(&call(0))
            .down(BACK)
            .to(SIP4, ACROSS)
            .reaches(ACROSS)
            .new_flow(),
        row("affinity, no place: follows the table", &call(9))
            .after_all((0..8).map(call))
            .moved(SIP4, BACK, ACROSS)
            .reaches(ACROSS)
            .new_flow()
            .unrecorded(),
    ]
}

fn errors() -> Vec<Row> {
    let about =
        |packet: &Packet| icmp(ROUTER4, VIP4, 3, 4, [0, 0, 0x05, 0x14]).payload(&packet.reversed().quoted(8));
    let call = udp(CLIENT4, SIP4_AT);
    let about_web = about(&ack4());
    let about_call = about(&call);
    vec![
        moved("an error about a recorded connection", &about_web)
            .after(&syn4())
            .reaches_as(Reason::ForwardedIcmpError, ACROSS),
        moved("an error about an older connection", &about_web).reaches_as(Reason::ForwardedIcmpError, BACK),
        moved("an error records nothing", &about_web)
            .after(&about_web)
            .moved(WEB4, SMALL, ACROSS)
            .reaches_as(Reason::ForwardedIcmpError, SMALL),
        row("an error about a recorded datagram", &about_call)
            .after(&call)
            .to(SIP4, ACROSS)
            .reaches_as(Reason::ForwardedIcmpError, BACK),
        row("an error about an unrecorded datagram follows the table as the datagram did", &about_call)
            .moved(SIP4, BACK, ACROSS)
            .reaches_as(Reason::ForwardedIcmpError, ACROSS),
    ]
}
