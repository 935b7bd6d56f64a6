//! The race itself: steps of all walkers, in order of time.

use super::walk::{Steps, Walk};

/// The owner of a slot that nobody has.
pub(super) const NOBODY: u16 = u16::MAX;

/// One who takes part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walker {
    pub(super) walk: Walk,
    /// Finite and above 0.
    pub(super) speed: f64,
    /// It stops when it holds as many.
    pub(super) most: u32,
}

/// How a race ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// By slot: a walker's index, or [`NOBODY`].
    pub(super) owners: Vec<u16>,
    /// By walker: how many slots it has.
    pub(super) held: Vec<u32>,
}

/// Lets at most [`xdp_lb_common::limits::MAX_BACKENDS`] walkers run until no slot is free, which needs that together
/// they have room for all; in a dead heat the first in order takes the slot.
///
/// Steps are gathered period by period and sorted: the periods' length decides how long this takes, not who wins.
pub(super) fn run(walkers: &[Walker], table_size: u32) -> Outcome {
    let mut outcome = Outcome { owners: vec![NOBODY; table_size as usize], held: vec![0; walkers.len()] };
    let mut free = Free::all(table_size);
    let mut steps = Steps::new(table_size);
    let mut running: Vec<Runner> = walkers.iter().zip(0..).map(|(w, index)| Runner::new(w, index)).collect();
    let mut touches: Vec<u64> = Vec::new();
    let mut end = 0.0;
    while free.left > 0 && !running.is_empty() {
        let speeds: f64 = running.iter().map(|runner| walkers[usize::from(runner.index)].speed).sum();
        // An eighth of the table is visited, or, when most visits are in vain, the whole of it.
        end += (0.125 * f64::from(table_size) / f64::from(free.left)).min(1.0) / speeds;
        for runner in &mut running {
            runner.gather(end as f32, table_size, &mut steps, &free, &mut touches);
        }
        touches.sort_unstable();
        for touch in touches.drain(..) {
            let (index, slot) = unpack(touch);
            let held = &mut outcome.held[usize::from(index)];
            if *held < walkers[usize::from(index)].most && free.take(slot) {
                outcome.owners[slot as usize] = index;
                *held += 1;
            }
        }
        running.retain(|runner| {
            let index = usize::from(runner.index);
            outcome.held[index] < walkers[index].most && runner.step < table_size
        });
    }
    outcome
}

impl Outcome {
    /// Gives those who won nothing, in order, the first slot on their way whose owner has another one.
    pub(super) fn leave_nobody_out(&mut self, walkers: &[Walker]) {
        let table_size = self.owners.len() as u32;
        for (index, walker) in walkers.iter().enumerate() {
            if self.held[index] > 0 {
                continue;
            }
            let way = std::iter::successors(Some(walker.walk.offset), |&slot| {
                Some(walker.walk.after(slot, table_size))
            });
            let spare = |owner: u16| self.held.get(usize::from(owner)).is_some_and(|held| *held > 1);
            let found = way.take(self.owners.len()).find(|&slot| spare(self.owners[slot as usize]));
            let Some(slot) = found else { return };
            let owner = std::mem::replace(&mut self.owners[slot as usize], index as u16);
            self.held[usize::from(owner)] -= 1;
            self.held[index] = 1;
        }
    }
}

/// How far a walker has come.
struct Runner {
    index: u16,
    walk: Walk,
    /// Time that one of speed 1 would take 1 for.
    slowness: f64,
    step: u32,
    slot: u32,
}

impl Runner {
    fn new(walker: &Walker, index: u16) -> Self {
        Self { index, walk: walker.walk, slowness: 1.0 / walker.speed, step: 0, slot: walker.walk.offset }
    }

    /// Walks on to the `end` of the period, noting the free slots it comes by.
    fn gather(&mut self, end: f32, table_size: u32, steps: &mut Steps, free: &Free, touches: &mut Vec<u64>) {
        while self.step < table_size {
            let time = (steps.time(self.step) * self.slowness) as f32;
            if time > end {
                break;
            }
            if free.has(self.slot) {
                touches.push(pack(time, self.index, self.slot));
            }
            self.slot = self.walk.after(self.slot, table_size);
            self.step += 1;
        }
    }
}

/// Bits of a slot: tables have up to 65537.
const SLOT_BITS: u32 = 17;

const _: () = assert!(xdp_lb_common::limits::MAX_TABLE_SIZE <= 1 << SLOT_BITS);
const _: () = assert!(xdp_lb_common::limits::MAX_BACKENDS <= 1 << (32 - SLOT_BITS));

/// In one word, in order of time and then of walkers: floats from 0 are in the order of their bits.
fn pack(time: f32, index: u16, slot: u32) -> u64 {
    u64::from(time.to_bits()) << 32 | u64::from(index) << SLOT_BITS | u64::from(slot)
}

fn unpack(touch: u64) -> (u16, u32) {
    let low = touch as u32;
    ((low >> SLOT_BITS) as u16, low & ((1 << SLOT_BITS) - 1))
}

/// Which slots are free: a bit each, so that all of it stays in the nearest cache.
struct Free {
    words: Vec<u64>,
    left: u32,
}

impl Free {
    fn all(table_size: u32) -> Self {
        let mut words = vec![u64::MAX; table_size.div_ceil(64) as usize];
        if let (Some(last), used @ 1..) = (words.last_mut(), table_size % 64) {
            *last = (1 << used) - 1;
        }
        Self { words, left: table_size }
    }

    fn has(&self, slot: u32) -> bool {
        self.words[(slot / 64) as usize] & 1 << (slot % 64) != 0
    }

    /// Whether it was free.
    fn take(&mut self, slot: u32) -> bool {
        let was_free = self.has(slot);
        self.words[(slot / 64) as usize] &= !(1 << (slot % 64));
        self.left -= u32::from(was_free);
        was_free
    }
}
