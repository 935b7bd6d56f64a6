//! All connections: they open, go on, and end, and none may change its server.

use xdp_lb::datapath::Datapath;

use crate::Holds;
use crate::balancer::{Balancer, Sent};
use crate::client::{Client, Connection, Kind, State};
use crate::history::Ending;
use crate::plan::{Plan, VIPS};
use crate::rng::Rng;

/// Most seconds that a connection is silent: less than the shortest drain time.
const MOST_SILENCE: u64 = 5;

#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) live: Vec<Connection>,
    /// Those that are over: by FIN or RST, or because their server went down.
    closed: Vec<Over>,
    next: u32,
}

/// A connection that is over, and since when.
#[derive(Debug)]
struct Over {
    client: Client,
    since: u32,
}

/// The data path's clock.
fn epoch(balancer: &Balancer) -> u32 {
    balancer.tables.current_settings().epoch
}

/// Seconds for which a record may hold although its connection was closed: what was forged must not move it.
const IN_DOUBT: u32 = 3;

/// What new connections may expect at a quiet moment: the configuration in force.
pub(crate) type InForce<'a> = Option<&'a Plan>;

impl Clients {
    /// A new connection from a new port.
    pub(crate) fn open(
        &mut self,
        vip: usize,
        plan: InForce<'_>,
        balancer: &mut Balancer,
        now: u64,
        rng: &mut Rng,
    ) -> Holds {
        self.next += 1;
        let client = Client::new(vip, self.next, balancer);
        self.begin(client, plan, balancer, now, rng)
    }

    /// A new connection from the port of a closed one.
    pub(crate) fn reopen(
        &mut self,
        plan: InForce<'_>,
        balancer: &mut Balancer,
        now: u64,
        rng: &mut Rng,
    ) -> Holds {
        if self.closed.is_empty() {
            return Ok(());
        }
        let Over { client, since } = self.closed.swap_remove(rng.below(self.closed.len()));
        let is_in_doubt = epoch(balancer) - since < IN_DOUBT;
        self.begin(client, plan.filter(|_| !is_in_doubt), balancer, now, rng)
    }

    fn begin(
        &mut self,
        client: Client,
        plan: InForce<'_>,
        balancer: &mut Balancer,
        now: u64,
        rng: &mut Rng,
    ) -> Holds {
        let sent = client.send(Kind::Syn, balancer)?;
        check_new(&client, sent, plan, balancer)?;
        let Some(server) = sent.server else { return Ok(()) };
        let is_udp = VIPS[client.vip].is_udp;
        let state = if is_udp { State::Open } else { State::Opening(rng.below(3) as u8) };
        let is_held = is_udp && balancer.tables.recorded(client.hash).is_some();
        self.live.push(Connection { client, state, server, is_held, sent: now });
        if !is_udp && state == State::Opening(0) && rng.one_in(2) {
            self.go_on(self.live.len() - 1, balancer, now, rng)?;
        }
        Ok(())
    }

    /// Packets of flows that are no connections.
    pub(crate) fn noise(
        &mut self,
        vip: usize,
        kind: Kind,
        count: u8,
        plan: InForce<'_>,
        balancer: &mut Balancer,
    ) -> Holds {
        for _ in 0..count {
            self.next += 1;
            let client = Client::new(vip, self.next, balancer);
            let sent = client.send(kind, balancer)?;
            if kind == Kind::Syn {
                check_new(&client, sent, plan, balancer)?;
            }
        }
        Ok(())
    }

    /// A second's traffic: a connection sends now and then, and never is silent too long.
    pub(crate) fn second(&mut self, balancer: &mut Balancer, now: u64, rng: &mut Rng) -> Holds {
        for index in 0..self.live.len() {
            let connection = &self.live[index];
            let is_due =
                now - connection.sent >= MOST_SILENCE || matches!(connection.state, State::Opening(_));
            if is_due || rng.one_in(6) {
                self.go_on(index, balancer, now, rng)?;
            }
        }
        Ok(())
    }

    /// Some connection sends, if there is one.
    pub(crate) fn some(&mut self, balancer: &mut Balancer, now: u64, rng: &mut Rng) -> Holds {
        match self.live.len() {
            0 => Ok(()),
            count => self.go_on(rng.below(count), balancer, now, rng),
        }
    }

    fn go_on(&mut self, index: usize, balancer: &mut Balancer, now: u64, rng: &mut Rng) -> Holds {
        let connection = &mut self.live[index];
        match connection.state {
            State::Opening(more @ 1..) => {
                connection.state = State::Opening(more - 1);
                return self.send(index, Kind::Syn, balancer, now);
            }
            State::Opening(0) => {
                connection.state = State::Open;
                connection.is_held = true;
            }
            State::Open if rng.one_in(16) => self.send(index, Kind::Error, balancer, now)?,
            _ => {}
        }
        self.send(index, Kind::More, balancer, now)
    }

    fn send(&mut self, index: usize, kind: Kind, balancer: &mut Balancer, now: u64) -> Holds {
        let connection = &mut self.live[index];
        let client = &connection.client;
        let before = balancer.tables.recorded(client.hash);
        let slot = balancer.slot_of(client.vip, client.hash);
        let sent = client.send(kind, balancer)?;
        let is_udp = VIPS[client.vip].is_udp;
        // Until the answer is there a connection is where its last SYN went; a recorded one stays all the same.
        let is_recorded = before.is_some_and(|id| balancer.is_up(id));
        let must_stay = connection.is_held || !is_udp && is_recorded;
        if must_stay && sent.server != Some(connection.server) {
            return Err(format!(
                "{} connection {} ({:?}, last sent in second {}) changed from server {} to {}: {kind:?} {:?}, \
                 slot {slot:?}, record {before:?}",
                VIPS[client.vip].name,
                client.number,
                connection.state,
                connection.sent,
                connection.server,
                sent.server.map_or("none".into(), |server| server.to_string()),
                sent.reason,
            ));
        }
        if let Some(server) = sent.server.filter(|_| kind != Kind::Error) {
            (connection.server, connection.sent) = (server, now);
        }
        if is_udp {
            connection.is_held = sent.server.is_some() && balancer.tables.recorded(client.hash).is_some();
        }
        Ok(())
    }

    /// The connections of a server behind a VIP are lost. How many there were.
    pub(crate) fn lose(&mut self, vip: usize, server: u8, balancer: &Balancer) -> usize {
        let since = epoch(balancer);
        let is_there =
            |connection: &mut Connection| connection.client.vip == vip && connection.server == server;
        let lost: Vec<Connection> = self.live.extract_if(.., is_there).collect();
        let held = lost.iter().filter(|connection| connection.is_held).count();
        let tcp = lost.into_iter().filter(|_| !VIPS[vip].is_udp);
        self.closed.extend(tcp.map(|Connection { client, .. }| Over { client, since }));
        held
    }

    /// So many percent of the connections end.
    pub(crate) fn close(
        &mut self,
        how: Ending,
        percent: u8,
        balancer: &mut Balancer,
        now: u64,
        rng: &mut Rng,
    ) -> Holds {
        for index in (0..self.live.len()).rev() {
            let ends = rng.below(100) < usize::from(percent);
            if !ends || matches!(self.live[index].state, State::Opening(_)) {
                continue;
            }
            self.send(index, if how == Ending::Rst { Kind::Rst } else { Kind::Fin }, balancer, now)?;
            if how == Ending::Half {
                self.live[index].state = State::HalfClosed;
                continue;
            }
            if how == Ending::Fin {
                self.send(index, Kind::More, balancer, now)?; // acknowledges the server's FIN
            }
            let client = self.live.swap_remove(index).client;
            if !VIPS[client.vip].is_udp {
                self.closed.push(Over { client, since: epoch(balancer) });
            }
        }
        Ok(())
    }
}

/// A packet that opens a connection which the data path does not know: goes to a server that takes new ones, if it is
/// recorded where it should be, and is not dropped if there is one.
fn check_new(client: &Client, sent: Sent, plan: InForce<'_>, balancer: &Balancer) -> Holds {
    let (Some(plan), Some(vip)) = (plan, balancer.vip(client.vip)) else { return Ok(()) };
    let service = &VIPS[client.vip];
    let takes_new = |number: &u8| {
        let wanted = plan.0[client.vip].servers.get(number).is_some_and(|s| s.weight > 0 && !s.drain);
        wanted
            && balancer.records.values().any(|record| {
                !record.down
                    && record.vip == vip.vip
                    && record.address == crate::plan::address(service, *number)
            })
    };
    let servers: Vec<u8> = (1..=crate::plan::SERVERS).filter(takes_new).collect();
    match sent.server {
        None if !servers.is_empty() && balancer.filled.contains(&vip.vip) => Err(format!(
            "{}: a new connection was dropped: {:?}, servers {servers:?}",
            service.name, sent.reason
        )),
        Some(server) if !sent.unrecorded && !servers.contains(&server) => Err(format!(
            "{}: new connection {} went to server {server} of {servers:?}, slot {:?}",
            service.name,
            client.number,
            balancer.slot_of(client.vip, client.hash),
        )),
        _ => Ok(()),
    }
}
