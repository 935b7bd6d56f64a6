//! The whole forwarding decision: from a flow and the tables to a backend.
//!
//! The rule, per slot of the VIP's table (see [`crate::slot`]):
//!
//! - Stable: the slot's backend. No flow is looked up or recorded.
//! - Tracked: a recorded flow follows its record. Without one, a packet that opens a connection goes to `current`, any
//!   other belongs to a connection older than the move and goes to `base`; where the two differ, it is recorded so.
//! - When it cannot be recorded (no room, or over the limit), it goes to `base`: the next packet, unrecorded as
//!   well, then goes the same way.
//! - Where the VIP chooses between two ([`crate::choice`]), every packet follows its record, whatever the slot. A new
//!   connection that takes the second candidate is recorded, or else does not take it.
//! - A record that names a backend which is down does not count, nor does one of a closed connection for a packet
//!   that opens one: both are overwritten.
//!
//! Together: a connection whose backend is not down keeps it, whatever happens to the table.

use crate::choice::{self, BackendLoad};
use crate::flow::{Flow, Signal, buckets_of, slot_of, tag_of};
use crate::ids::{BackendId, VipId};
use crate::limits::BUCKET_WORDS;
use crate::maps::{
    Address, Backend, DirectoryEntry, DirectoryWord, FlowWord, Service, Settings, VIP_AFFINITY, VIP_P2C,
};
use crate::reason::Reason;
use crate::slot::Slot;
use crate::wire::ip_protocol;

/// The maps, as the decision needs them.
pub trait Tables {
    /// One flow word where others may write it at the same time. (A type of the implementor's, since the kernel's
    /// target has the instructions but not the methods of `AtomicU64`.)
    type Place;

    /// The settings in force.
    fn settings(&self) -> Option<&Settings>;

    /// The directory's entry at a position, counted over both halves.
    fn directory(&self, position: u32) -> Option<&DirectoryEntry>;

    /// A slot of a VIP's table.
    fn slot(&self, vip: VipId, slot: u32) -> Option<Slot>;

    /// A backend's entry.
    fn backend(&self, backend: BackendId) -> Option<&Backend>;

    /// Records a flow in one of two buckets, if there is room: [`record`], by way of a function of the implementor's.
    #[inline(always)]
    fn record(&self, buckets: [u32; 2], ours: FlowWord, settings: &Settings) -> bool
    where
        Self: Sized,
    {
        record(buckets, ours, settings, self)
    }

    /// What a backend is worth to the choice of two; all zero past the end.
    fn load(&self, backend: BackendId) -> BackendLoad;

    /// Which candidate a new connection takes: [`choice::choose`], by way of a function of the implementor's.
    #[inline(always)]
    fn choose(&self, hash: u64, vip: &DirectoryEntry, first: BackendId) -> BackendId
    where
        Self: Sized,
    {
        choice::choose(hash, vip.vip_id(), vip.table_size, vip.margin, first, self)
    }

    /// A connection was opened to a backend, or closed: [`choice::count`], in the same way.
    #[inline(always)]
    fn count(&self, backend: BackendId, opens: bool)
    where
        Self: Sized,
    {
        choice::count(backend, opens, self);
    }

    /// Adds to a backend's connections in flight.
    fn add_in_flight(&self, backend: BackendId, more: i32);

    /// A bucket of the flow table.
    fn bucket(&self, bucket: u32) -> Option<&[Self::Place; BUCKET_WORDS]>;

    /// The word at a place.
    fn read(&self, place: &Self::Place) -> u64;

    /// Makes `new` of the word at a place if it still is `old`.
    fn exchange(&self, place: &Self::Place, old: u64, new: u64) -> bool;

    /// Takes one from this CPU's budget for the current second; `false` when it is spent.
    fn spend(&self, budget: BudgetKind, settings: &Settings) -> bool;
}

/// What is limited per CPU and second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetKind {
    /// Flows recorded.
    Insert = 0,
    /// ICMP errors sent.
    Icmp = 1,
}

impl BudgetKind {
    /// How much of it the settings allow.
    #[inline(always)]
    pub const fn limit(self, settings: &Settings) -> u32 {
        match self {
            Self::Insert => settings.insert_limit,
            Self::Icmp => settings.icmp_limit,
        }
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug)]
pub struct Steered<'a> {
    /// The VIP it came for.
    pub vip: VipId,
    /// The backend it goes to.
    pub id: BackendId,
    /// That backend's entry.
    pub backend: &'a Backend,
    /// The flow hash.
    pub hash: u64,
    /// Whether it opens a flow.
    pub new_flow: bool,
    /// Whether it should have been recorded and could not.
    pub unrecorded: bool,
}

/// Decides where the packet of a flow goes.
#[inline(always)]
pub fn steer<'a, T: Tables>(flow: &Flow, tables: &'a T) -> Result<Steered<'a>, Reason> {
    let settings = tables.settings().ok_or(Reason::NoTable)?;
    let vip = find_vip(flow, settings, tables).ok_or(Reason::NotVip)?;
    let hash = flow.hash(settings.hash_seed);
    let slot = tables.slot(vip.vip_id(), slot_of(hash, vip.table_size)).ok_or(Reason::NoTable)?;
    let tracked = vip.flags & (VIP_AFFINITY | VIP_P2C) != 0;
    let mut steered = if tracked || slot.is_tracked() && flow.protocol == ip_protocol::TCP {
        track(flow, hash, slot, vip, settings, tables)?
    } else {
        let id = slot.current().ok_or(Reason::NoBackend)?;
        let backend = tables.backend(id).ok_or(Reason::NoTable)?;
        let new_flow = matches!(flow.signal, Signal::Open);
        Steered { vip: vip.vip_id(), id, backend, hash, new_flow, unrecorded: false }
    };
    steered.vip = vip.vip_id();
    if steered.backend.is_usable() { Ok(steered) } else { Err(Reason::BackendDown) }
}

/// The directory's entry for a flow: by address, port and protocol, else by address and protocol with any port.
#[inline(always)]
fn find_vip<'a, T: Tables>(flow: &Flow, settings: &Settings, tables: &'a T) -> Option<&'a DirectoryEntry> {
    let directory = DirectoryWord(settings.directory);
    let exact = look_up(directory, flow.destination, flow.service(), tables);
    if exact.is_some() || !directory.any_port() {
        return exact;
    }
    look_up(directory, flow.destination, Service::from_wire(0, flow.protocol), tables)
}

/// Whether some VIP has this address.
#[inline(always)]
pub fn is_vip_address<T: Tables>(address: Address, tables: &T) -> bool {
    let Some(settings) = tables.settings() else { return false };
    look_up(DirectoryWord(settings.directory), address, Service::ADDRESS, tables).is_some()
}

#[inline(always)]
fn look_up<T: Tables>(
    directory: DirectoryWord,
    address: Address,
    service: Service,
    tables: &T,
) -> Option<&DirectoryEntry> {
    let [first, second] = directory_positions(directory, address, service);
    let entry = tables.directory(first)?;
    if entry.address == address && entry.service == service {
        return Some(entry);
    }
    // A key is first placed at its first position, which from then on is never empty.
    if entry.address == Address::default() {
        return None;
    }
    tables.directory(second).filter(|entry| entry.address == address && entry.service == service)
}

/// The two positions at which a directory may hold a key, counted over both halves of the map.
#[inline(always)]
pub const fn directory_positions(directory: DirectoryWord, address: Address, service: Service) -> [u32; 2] {
    let upper = (address.0[0] ^ directory.seed() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // What tells VIPs apart goes to the low bits, from where the multiplication carries it to those that are used.
    let key = address.0[1].rotate_left(32) ^ (service.0 as u64) << 32 ^ upper;
    let hash = key.wrapping_mul(0xd6e8_feb8_6659_fd93);
    let bits = directory.log2_positions();
    let mask = (1 << bits) - 1;
    let half = directory.half() << bits;
    [half | (hash >> 45) as u32 & mask, half | (hash >> 26) as u32 & mask]
}

/// Seconds for which the record of a closed connection also holds for a packet that opens one anew: a forged RST and
/// SYN do not move a connection that goes on talking.
const CLOSED_FOR: u16 = 2;

/// A packet of a tracked slot: by its record, or by the slot and then recorded.
#[inline(always)]
fn track<'a, T: Tables>(
    flow: &Flow,
    hash: u64,
    slot: Slot,
    vip: &DirectoryEntry,
    settings: &Settings,
    tables: &'a T,
) -> Result<Steered<'a>, Reason> {
    let affinity = vip.flags & VIP_AFFINITY != 0;
    let chooses = vip.flags & VIP_P2C != 0;
    let [first, second] = buckets_of(hash, settings);
    let buckets =
        [tables.bucket(first).ok_or(Reason::NoTable)?, tables.bucket(second).ok_or(Reason::NoTable)?];
    let tag = tag_of(hash);
    let epoch = settings.epoch as u16;
    let opens = matches!(flow.signal, Signal::Open);
    let found = match find(buckets[0], tag, tables) {
        None => find(buckets[1], tag, tables).map(|(position, word)| (buckets[1], position, word)),
        Some((position, word)) => Some((buckets[0], position, word)),
    };
    // Where exactly it was found is made unknown, or the verifier goes through all that follows once for each place.
    let unknown = |position: usize| (position + settings.reserved as usize) % BUCKET_WORDS;
    let record = found.map(|(bucket, position, word)| (&bucket[unknown(position)], word));
    if let Some((place, word)) = record
        && let Some(id) = word.backend()
        && !(opens && word.is_closing() && word.age(epoch) >= CLOSED_FOR)
    {
        let backend = tables.backend(id).ok_or(Reason::NoTable)?;
        if backend.is_usable() {
            refresh(place, word, id, settings, flow.signal, tables);
            // Once for each connection: neither a SYN sent again counts, nor what follows the first FIN or RST.
            let closes = matches!(flow.signal, Signal::Close);
            if chooses && (opens || closes) && word.is_closing() == opens {
                tables.count(id, opens);
            }
            return Ok(Steered { vip: VipId::new(0), id, backend, hash, new_flow: opens, unrecorded: false });
        }
    }

    let new_flow = opens || affinity && matches!(flow.signal, Signal::Continue);
    // With affinity every flow is recorded that can be: the others follow the table, and errors about them as well.
    let by_table = if new_flow || affinity { slot.current() } else { slot.base() };
    let by_table = by_table.ok_or(Reason::NoBackend)?;
    let wanted = if chooses && new_flow { tables.choose(hash, vip, by_table) } else { by_table };
    let ours = if opens {
        FlowWord::opened(tag, wanted, settings)
    } else {
        FlowWord::new(tag, wanted, epoch, matches!(flow.signal, Signal::Close))
    };
    let needs_record = affinity || slot.is_moved() || record.is_some();
    let wants_record = needs_record || wanted.raw() != by_table.raw();
    let recorded = if matches!(flow.signal, Signal::About) {
        true
    } else if let Some((place, word)) = record {
        tables.exchange(place, word.0, ours.0)
    } else if wants_record && tables.spend(BudgetKind::Insert, settings) {
        tables.record([first, second], ours, settings)
    } else {
        !wants_record
    };
    let id = if recorded {
        wanted
    } else if affinity {
        by_table
    } else {
        slot.base().unwrap_or(by_table)
    };
    // A datagram that could not be recorded opens nothing: the next one would open it once more.
    let counts = opens || new_flow && recorded || matches!(flow.signal, Signal::Close);
    if chooses && counts {
        tables.count(id, new_flow);
    }
    let backend = tables.backend(id).ok_or(Reason::NoTable)?;
    // A connection that would have taken the second candidate is where the table leads it, and needs no record there.
    Ok(Steered { vip: VipId::new(0), id, backend, hash, new_flow, unrecorded: needs_record && !recorded })
}

/// The position in the bucket that records a flow with this tag.
#[inline(always)]
fn find<T: Tables>(bucket: &[T::Place; BUCKET_WORDS], tag: u32, tables: &T) -> Option<(usize, FlowWord)> {
    for (position, place) in bucket.iter().enumerate() {
        let word = FlowWord(tables.read(place));
        if word.tag() == tag && word.backend().is_some() {
            return Some((position, word));
        }
    }
    None
}

/// Records a flow in the first of two buckets that has room; `false` when none has.
#[inline(always)]
pub fn record<T: Tables>(buckets: [u32; 2], ours: FlowWord, settings: &Settings, tables: &T) -> bool {
    let in_bucket =
        |bucket| tables.bucket(bucket).is_some_and(|bucket| insert(bucket, ours, settings, tables));
    in_bucket(buckets[0]) || in_bucket(buckets[1])
}

/// Takes the first free or expired place; `false` when there is none.
#[inline(always)]
fn insert<T: Tables>(
    bucket: &[T::Place; BUCKET_WORDS],
    ours: FlowWord,
    settings: &Settings,
    tables: &T,
) -> bool {
    for place in bucket {
        let word = FlowWord(tables.read(place));
        if word.is_expired(settings) && tables.exchange(place, word.0, ours.0) {
            return true;
        }
    }
    false
}

/// Notes that a recorded flow was seen, at most once a second, and that it is closing. A packet that opens the flow once
/// more does not prolong it, but is the begin of another one where it was closing. Losing a race means that another
/// CPU noted the same, or that the agent freed an expired place: the next packet records it again.
#[inline(always)]
fn refresh<T: Tables>(
    place: &T::Place,
    word: FlowWord,
    backend: BackendId,
    settings: &Settings,
    signal: Signal,
    tables: &T,
) {
    let epoch = settings.epoch as u16;
    let noted = match signal {
        Signal::Open if word.is_closing() => FlowWord::opened(word.tag(), backend, settings),
        // Nor does what others say of it.
        Signal::Open | Signal::About => word,
        Signal::Close => FlowWord::new(word.tag(), backend, epoch, true),
        Signal::Continue => FlowWord::new(word.tag(), backend, epoch, word.is_closing()),
    };
    if noted != word {
        tables.exchange(place, word.0, noted.0);
    }
}
