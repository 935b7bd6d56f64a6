//! The balancer's maps: made or found again under their pins, then mapped or opened.

use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData, MapError, MapInfo, PerCpuArray};
use aya::{Ebpf, EbpfError, EbpfLoader, Pod};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::limits::BUCKET_WORDS;
use xdp_lb_common::maps::{
    Backend, Bucket, Budget, DirectoryEntry, LAYOUT_VERSION, Settings, SlotTable, Traffic, names,
};
use xdp_lb_common::reason::Reason;

use super::directory::log2_positions;
use super::mapping::Mapping;
use crate::config::Agent;
use crate::control::VipRecord;

/// Why the maps are not there.
#[derive(Debug, thiserror::Error)]
pub enum MapsError {
    /// An earlier agent left maps of another size or layout.
    #[error(
        "pinned map {path} has {what} {found}, wanted {wanted}; restore the old setting, or give up connections and start anew: `cd {folder} && rm -f link_native_* link_generic_* link_check_* {}` (detaches the program)",
        PINNED.join(" "),
        folder = path.parent().unwrap_or(Path::new("/")).display()
    )]
    Mismatch {
        /// Which.
        path: PathBuf,
        /// "max_entries", "value size", "layout version", "hash_seed", "table_size".
        what: &'static str,
        /// In the pinned map.
        found: u64,
        /// By the configuration.
        wanted: u64,
    },
    /// The kernel refused the object.
    #[error("cannot load the XDP program: {0}")]
    Load(#[from] EbpfError),
    /// The kernel refused a map.
    #[error("map {name}: {source}")]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The object has no such map or one of another kind.
    #[error("map {0} is not in the program's object; rebuild it: `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// Mapping failed.
    #[error("map {name}: cannot be mapped: {source}")]
    Mapping {
        /// Which.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Names that maps are pinned under.
pub(super) const PINNED: &[&str] = &[
    names::SETTINGS,
    names::DIRECTORY,
    names::SLOTS,
    names::BACKENDS,
    names::LOADS,
    names::FLOWS,
    names::BACKEND_TRAFFIC,
    names::REASONS,
    names::BUDGETS,
];

/// Sizes that are fixed when the maps are made.
struct Sizes {
    directory: u32,
    vips: u32,
    backends: u32,
    buckets: u32,
}

impl Sizes {
    fn of(agent: &Agent) -> Self {
        Self {
            directory: 2 << log2_positions(agent.max_vips),
            vips: agent.max_vips,
            // Position 0 means none.
            backends: agent.max_backends + 1,
            buckets: agent.flow_entries / BUCKET_WORDS as u32,
        }
    }

    /// Name, entries and value size of each map.
    fn table(&self) -> [(&'static str, u32, usize); PINNED.len()] {
        [
            (names::SETTINGS, 1, size_of::<Settings>()),
            (names::DIRECTORY, self.directory, size_of::<DirectoryEntry>()),
            (names::SLOTS, self.vips, size_of::<SlotTable>()),
            (names::BACKENDS, self.backends, size_of::<Backend>()),
            (names::LOADS, self.backends, size_of::<BackendLoad>()),
            (names::FLOWS, self.buckets, size_of::<Bucket>()),
            (names::BACKEND_TRAFFIC, self.backends, size_of::<Traffic>()),
            (names::REASONS, 1, size_of::<ReasonCounts>()),
            (names::BUDGETS, 1, size_of::<[Budget; 2]>()),
        ]
    }
}

/// A packet counter for each reason.
pub(super) type ReasonCounts = [u64; Reason::ROOM];

/// The open maps.
pub(super) struct Maps {
    pub(super) settings: Mapping<Settings>,
    pub(super) directory: Array<MapData, DirectoryEntry>,
    pub(super) slots: Mapping<SlotTable>,
    pub(super) backends: Mapping<Backend>,
    pub(super) loads: Mapping<BackendLoad>,
    pub(super) flows: Mapping<Bucket>,
    pub(super) backend_traffic: PerCpuArray<MapData, Traffic>,
    pub(super) reasons: PerCpuArray<MapData, ReasonCounts>,
    pub(super) log2_positions: u8,
}

/// Creates the maps, or finds them under their pins in `folder`, and reads the programs of `object`.
pub(super) fn load(object: &[u8], agent: &Agent, folder: Option<&Path>) -> Result<(Ebpf, Maps), MapsError> {
    let sizes = Sizes::of(agent);
    let mut loader = EbpfLoader::new();
    for (name, entries, value_size) in sizes.table() {
        loader.map_max_entries(name, entries);
        if let Some(folder) = folder {
            let path = folder.join(name);
            check_pin(&path, name, entries, value_size)?;
            loader.map_pin_path(name, path);
        }
    }
    let mut ebpf = loader.load(object)?;
    let maps = Maps {
        settings: mapped(&ebpf, names::SETTINGS, 1)?,
        directory: opened(&mut ebpf, names::DIRECTORY)?,
        slots: mapped(&ebpf, names::SLOTS, sizes.vips)?,
        backends: mapped(&ebpf, names::BACKENDS, sizes.backends)?,
        loads: mapped(&ebpf, names::LOADS, sizes.backends)?,
        flows: mapped(&ebpf, names::FLOWS, sizes.buckets)?,
        backend_traffic: opened(&mut ebpf, names::BACKEND_TRAFFIC)?,
        reasons: opened(&mut ebpf, names::REASONS)?,
        log2_positions: log2_positions(agent.max_vips),
    };
    if let Some(folder) = folder {
        check_settings(&maps, agent, &folder.join(names::SETTINGS))?;
    }
    Ok((ebpf, maps))
}

fn check_pin(path: &Path, name: &'static str, entries: u32, value_size: usize) -> Result<(), MapsError> {
    if !path.exists() {
        return Ok(());
    }
    let info = MapInfo::from_pin(path).map_err(|source| MapsError::Map { name, source })?;
    let mismatch = |what, found: u32, wanted: u64| {
        if u64::from(found) == wanted {
            return Ok(());
        }
        Err(MapsError::Mismatch { path: path.into(), what, found: found.into(), wanted })
    };
    mismatch("value size", info.value_size(), value_size as u64)?;
    mismatch("max_entries", info.max_entries(), entries.into())
}

/// What an earlier agent decided and a flow's slot depends on must be what this one would decide.
fn check_settings(maps: &Maps, agent: &Agent, path: &Path) -> Result<(), MapsError> {
    let settings = maps.settings();
    let mismatch = |what, found, wanted| {
        if found == wanted || settings.layout == 0 {
            return Ok(());
        }
        Err(MapsError::Mismatch { path: path.into(), what, found, wanted })
    };
    mismatch("layout version", settings.layout.into(), LAYOUT_VERSION.into())?;
    mismatch("hash_seed", settings.hash_seed, agent.hash_seed)
}

/// A flow's slot follows from the size of its VIP's table: with another, connections would change their backends.
pub(super) fn check_tables(vips: &[VipRecord], agent: &Agent, folder: &Path) -> Result<(), MapsError> {
    let wanted = agent.table_size.slots();
    match vips.iter().find(|vip| vip.table_size != wanted) {
        Some(vip) => Err(MapsError::Mismatch {
            path: folder.join(names::SLOTS),
            what: "table_size",
            found: vip.table_size.into(),
            wanted: wanted.into(),
        }),
        None => Ok(()),
    }
}

/// Maps a map and leaves it open, since the program is yet to be loaded with its descriptor.
fn mapped<T: Pod>(ebpf: &Ebpf, name: &'static str, entries: u32) -> Result<Mapping<T>, MapsError> {
    let Some(Map::Array(data)) = ebpf.map(name) else { return Err(MapsError::Missing(name)) };
    Mapping::new(data, entries).map_err(|source| MapsError::Mapping { name, source })
}

fn opened<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, MapsError> {
    let map = ebpf.take_map(name).ok_or(MapsError::Missing(name))?;
    map.try_into().map_err(|source| MapsError::Map { name, source })
}

impl Maps {
    /// The settings in force; all zero in a new map.
    pub(super) fn settings(&self) -> Settings {
        self.settings.get(0).unwrap_or_default()
    }
}
