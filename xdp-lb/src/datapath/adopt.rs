//! What an earlier agent left in the maps: they are the state, so that nothing else needs to survive it.

use std::sync::atomic::Ordering;

use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::{DirectoryWord, Settings};
use xdp_lb_common::slot::Slot;

use super::encode::{decode, decode_vip};
use super::maps::Maps;
use crate::control::{Adopted, VipRecord};

/// Reads VIPs, backends and tables back.
pub(super) fn adopt(maps: &Maps, settings: &Settings) -> Adopted {
    let word = DirectoryWord(settings.directory);
    let first = word.half() << word.log2_positions();
    let mut vips: Vec<VipRecord> = (first..first + (1 << word.log2_positions()))
        .filter_map(|position| decode_vip(&maps.directory.get(&position, 0).ok()?))
        .collect();
    vips.sort_by_key(|vip| vip.vip);
    let backends = (1..maps.backends.entries())
        .filter_map(|index| {
            let backend = BackendId::new(u16::try_from(index).ok()?)?;
            decode(backend, &maps.backends.get(index)?)
        })
        .collect();
    let tables = vips.iter().map(|vip| (vip.vip, table(maps, vip))).collect();
    Adopted { vips, backends, tables }
}

fn table(maps: &Maps, vip: &VipRecord) -> Vec<Slot> {
    (0..vip.table_size as usize)
        .filter_map(|slot| maps.slots.half_word(vip.vip.index(), slot))
        .map(|word| Slot::from_word(word.load(Ordering::Acquire)))
        .collect()
}
