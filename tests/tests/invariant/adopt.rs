//! What the next agent finds in the maps of the one that died.

use xdp_lb::control::{Adopted, VipRecord};
use xdp_lb::datapath::encode::{decode, decode_vip};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::DirectoryWord;
use xdp_lb_common::slot::Slot;
use xdp_lb_common::steer::Tables;
use xdp_lb_tests::world::HostTables;

/// Reads VIPs, backends and tables back from the maps alone.
pub(crate) fn adopt(tables: &HostTables) -> Adopted {
    let word = DirectoryWord(tables.current_settings().directory);
    let first = word.half() << word.log2_positions();
    let positions = first..first + (1 << word.log2_positions());
    let mut vips: Vec<VipRecord> =
        positions.filter_map(|position| decode_vip(Tables::directory(tables, position)?)).collect();
    vips.sort_by_key(|vip| vip.vip);
    let backends = (1..)
        .map_while(BackendId::new)
        .map_while(|id| Some((id, Tables::backend(tables, id)?)))
        .filter_map(|(id, entry)| decode(id, entry))
        .collect();
    let slots = |vip: &VipRecord| (0..vip.table_size).map(|slot| read(tables, vip.vip, slot)).collect();
    let tables = vips.iter().map(|vip| (vip.vip, slots(vip))).collect();
    Adopted { vips, backends, tables }
}

fn read(tables: &HostTables, vip: VipId, slot: u32) -> Slot {
    tables.slot(vip, slot).unwrap_or_default()
}
