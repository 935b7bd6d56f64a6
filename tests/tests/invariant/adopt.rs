//! What the next agent finds in the maps of the one that died.

use xdp_lb::config::{Affinity, Protocol, Scheduler};
use xdp_lb::control::{Adopted, VipRecord};
use xdp_lb::datapath::encode::{decode, ip_addr};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{DirectoryEntry, DirectoryWord, Service, VIP_AFFINITY};
use xdp_lb_common::slot::Slot;
use xdp_lb_common::steer::Tables;
use xdp_lb_tests::world::HostTables;

/// Reads VIPs, backends and tables back from the maps alone.
pub(crate) fn adopt(tables: &HostTables) -> Adopted {
    let word = DirectoryWord(tables.current_settings().directory);
    let first = word.half() << word.log2_positions();
    let positions = first..first + (1 << word.log2_positions());
    let mut vips: Vec<VipRecord> =
        positions.filter_map(|position| vip(Tables::directory(tables, position)?)).collect();
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

fn vip(entry: &DirectoryEntry) -> Option<VipRecord> {
    let protocol =
        [Protocol::Tcp, Protocol::Udp].into_iter().find(|p| p.number() == entry.service.protocol())?;
    let is_vip = entry.service != Service::ADDRESS;
    is_vip.then(|| VipRecord {
        vip: VipId::new(entry.vip),
        address: ip_addr(entry.address),
        port: entry.service.port(),
        protocol,
        table_size: entry.table_size,
        affinity: if entry.flags & VIP_AFFINITY != 0 { Affinity::Flow } else { Affinity::None },
        scheduler: Scheduler::Maglev,
    })
}
