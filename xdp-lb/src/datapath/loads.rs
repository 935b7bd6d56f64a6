//! What backends are worth to the kernel's choice of two, from the agent's side: published through the mapping, and the
//! estimates of connections in flight aged. Any other memory of the same shape will do, which is how tests run this code
//! without a kernel.
//!
//! # Why estimates age
//!
//! The kernel adds one for a SYN that opens a connection and takes one off for a FIN or RST, and neither is exact: a
//! client vanishes without a FIN, a server closes what the balancer does not see, a SYN or FIN is sent again, an RST
//! follows a FIN. (Where the flow is recorded, the record tells, and each end counts once.) Too many closes correct
//! themselves: the kernel never counts below zero, so that the estimate is what was added since it was last zero. Too
//! few are what ageing is for: of what stands there, 1/256 goes each second. An error that adds one a second then comes
//! to 256 at most and is forgotten in minutes, while a difference between two backends is remembered for longer than it
//! takes their weights to follow it. A shorter time would forget true connections as well: in the long run as many end
//! as begin, and what ageing takes off does not come back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::names;

use super::KernelError;
use super::mapping::Mapping;
use crate::control::Load;

/// Of an estimate, one part in so many goes each second.
const SECONDS: u64 = 256;

/// The entries by backend id, wherever they lie.
pub trait LoadTable {
    /// `standing` (lower half) and `per_flow` (upper half), which are read and written together; `None` past the end.
    fn published(&self, backend: BackendId) -> Option<&AtomicU64>;

    /// `in_flight`, in two's complement; `None` past the end.
    fn in_flight(&self, backend: BackendId) -> Option<&AtomicU32>;
}

impl LoadTable for Mapping<BackendLoad> {
    fn published(&self, backend: BackendId) -> Option<&AtomicU64> {
        const { assert!(std::mem::offset_of!(BackendLoad, standing) == 0) };
        const { assert!(std::mem::offset_of!(BackendLoad, per_flow) == 4) };
        self.word(backend.index(), 0)
    }

    fn in_flight(&self, backend: BackendId) -> Option<&AtomicU32> {
        self.half_word(backend.index(), std::mem::offset_of!(BackendLoad, in_flight) / 4)
    }
}

/// Publishes loads.
pub fn publish(table: &impl LoadTable, loads: &[(BackendId, Load)]) -> Result<(), KernelError> {
    for &(backend, Load { standing, per_flow }) in loads {
        let missing = KernelError::OutOfRange { name: names::LOADS, index: backend.index() };
        let place = table.published(backend).ok_or(missing)?;
        place.store(u64::from(per_flow) << 32 | u64::from(standing), Ordering::Release);
    }
    Ok(())
}

/// The backend is gone: its entry is empty for whoever has its id next.
pub fn clear(table: &impl LoadTable, backend: BackendId) {
    if let (Some(published), Some(in_flight)) = (table.published(backend), table.in_flight(backend)) {
        published.store(0, Ordering::Release);
        in_flight.store(0, Ordering::Release);
    }
}

/// A backend's entry; `None` past the end.
pub fn read(table: &impl LoadTable, backend: BackendId) -> Option<BackendLoad> {
    let published = table.published(backend)?.load(Ordering::Acquire);
    let in_flight = table.in_flight(backend)?.load(Ordering::Relaxed) as i32;
    Some(BackendLoad {
        standing: published as u32,
        per_flow: (published >> 32) as u32,
        in_flight,
        reserved: 0,
    })
}

/// Ages the estimates, and remembers what is too little to take off yet.
#[derive(Debug, Default)]
pub struct Ageing {
    /// In parts of one connection: less than [`SECONDS`].
    owed: BTreeMap<BackendId, u64>,
}

impl Ageing {
    /// `seconds` have passed since the last pass.
    pub fn pass(&mut self, table: &impl LoadTable, backends: impl Iterator<Item = BackendId>, seconds: u32) {
        for backend in backends {
            let Some(place) = table.in_flight(backend) else { continue };
            let stands = place.load(Ordering::Relaxed) as i32;
            if stands == 0 {
                continue;
            }
            let owed = self.owed.entry(backend).or_default();
            let less = too_much(stands, owed, seconds);
            // Added, not stored: the kernel counts meanwhile.
            place.fetch_sub(less as u32, Ordering::Relaxed);
        }
    }

    /// The backend is gone.
    pub fn forget(&mut self, backend: BackendId) {
        self.owed.remove(&backend);
    }
}

/// What is to be taken off an estimate: its share for the seconds, or all of it that is below zero, which two CPUs that
/// count a close at the same time can bring about.
fn too_much(stands: i32, owed: &mut u64, seconds: u32) -> i32 {
    let Ok(stands) = u64::try_from(stands) else { return stands };
    let due = *owed + stands * u64::from(seconds);
    let less = (due / SECONDS).min(stands);
    *owed = if less == stands { 0 } else { due % SECONDS };
    less as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Memory([(AtomicU64, AtomicU32); 3]);

    impl LoadTable for Memory {
        fn published(&self, backend: BackendId) -> Option<&AtomicU64> {
            self.0.get(backend.index() as usize).map(|(published, _)| published)
        }

        fn in_flight(&self, backend: BackendId) -> Option<&AtomicU32> {
            self.0.get(backend.index() as usize).map(|(_, in_flight)| in_flight)
        }
    }

    fn id(index: u16) -> BackendId {
        BackendId::new(index).unwrap()
    }

    #[test]
    fn what_is_published_is_read_back_and_cleared() {
        let memory = Memory::default();
        publish(&memory, &[(id(1), Load { standing: 7, per_flow: 9 })]).unwrap();
        memory.0[1].1.store(5, Ordering::Relaxed);
        let expected = BackendLoad { standing: 7, per_flow: 9, in_flight: 5, reserved: 0 };
        assert_eq!(read(&memory, id(1)), Some(expected));
        assert_eq!(read(&memory, id(2)), Some(BackendLoad::default()));
        assert_eq!(read(&memory, id(3)), None);
        clear(&memory, id(1));
        assert_eq!(read(&memory, id(1)), Some(BackendLoad::default()));
        let error = publish(&memory, &[(id(3), Load::default())]).unwrap_err().to_string();
        assert!(error.contains("LOADS") && error.contains("max_backends"), "{error}");
    }

    /// What is left of an estimate after so many passes of so many seconds.
    fn left(stands: i32, passes: u32, seconds: u32) -> i32 {
        let memory = Memory::default();
        memory.0[1].1.store(stands as u32, Ordering::Relaxed);
        let mut ageing = Ageing::default();
        (0..passes).for_each(|_| ageing.pass(&memory, [id(1)].into_iter(), seconds));
        memory.0[1].1.load(Ordering::Relaxed) as i32
    }

    #[test]
    fn estimates_fade_at_the_same_pace_whatever_their_size() {
        // 256 passes of a second leave 1/e.
        assert!((3670..=3675).contains(&left(10_000, 256, 1)));
        assert!((360..=375).contains(&left(1000, 256, 1)));
        assert!((2..=5).contains(&left(10, 256, 1)));
        assert_eq!(left(1, 255, 1), 1);
        assert_eq!(left(1, 256, 1), 0);
    }

    #[test]
    fn long_pauses_take_off_no_more_than_there_is_and_below_zero_ends_at_once() {
        assert_eq!(left(100, 1, 1000), 0);
        assert_eq!(left(100, 1, 128), 50);
        assert_eq!(left(i32::MAX, 1, u32::MAX), 0);
        assert_eq!(left(-5, 1, 1), 0);
        assert_eq!(left(i32::MIN, 1, 1), 0);
        assert_eq!(left(3, 1, 0), 3);
    }
}
