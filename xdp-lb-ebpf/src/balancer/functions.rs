//! Parts of the decision that the verifier looks at once, by themselves, and not on every path that leads to them: they
//! are exported and take numbers only. Inlined, they would take the program past the million instructions that the
//! verifier follows.

use xdp_lb_common::choice;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::FlowWord;
use xdp_lb_common::steer::{self, Tables};

use crate::tables::KernelTables;

/// See [`steer::record`]; 1 if the flow is recorded.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn record_flow(first: u32, second: u32, word: u64) -> u32 {
    let Some(settings) = KernelTables.settings() else { return 0 };
    steer::record([first, second], FlowWord(word), settings, &KernelTables) as u32
}

/// See [`choice::choose`]; 0 where `first` is no backend.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn choose_of_two(hash: u64, vip: u32, table_size: u32, margin: u32, first: u32) -> u32 {
    let Some(first) = BackendId::new(first as u16) else { return 0 };
    let vip = VipId::new(vip as u16);
    choice::choose(hash, vip, table_size, margin, first, &KernelTables).raw() as u32
}

/// See [`choice::count`]; always 0, since the verifier wants a result.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn count_in_flight(backend: u32, opens: u32) -> u32 {
    if let Some(backend) = BackendId::new(backend as u16) {
        choice::count(backend, opens != 0, &KernelTables);
    }
    0
}
