//! Servers that come and go, by DNS and by files.

mod files;
mod lookups;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::fixtures::{self, start};
use super::super::health::Standing;
use super::super::{Pool, Pools};
use super::*;

/// A pool whose servers come from there.
fn pool(members: Members) -> Result<Arc<Pool>, BuildError> {
    let config = PoolConfig { members, ..fixtures::pool("web", &[]) };
    let pools = Pools::build_seeded(&[config], None, &mut || 1, start())?;
    Ok(Arc::clone(pools.get(0)))
}

/// Addresses of the pool's servers.
fn addresses(pool: &Pool) -> Vec<String> {
    let mut all: Vec<_> = pool.members().iter().map(|member| member.address.to_string()).collect();
    all.sort_unstable();
    all
}

fn problem(pool: &Pool) -> String {
    pool.status(tokio::time::Instant::now().into_std()).problem
}

/// Follows the pool's source while the script runs.
async fn following(pool: &Pool, script: impl Future<Output = ()>) {
    tokio::select! {
        () = follow(pool) => unreachable!("it never ends"),
        () = script => {}
    }
}

fn member(name: u8, address: u8, weight: u8) -> Member {
    Member {
        name: format!("s{name}").into(),
        address: SocketAddr::from(([10, 0, 0, address], 80)),
        weight: f64::from(weight),
    }
}

#[test]
fn what_changed_is_told() {
    let mut membership = Membership::default();
    let newcomer = Standing::unchecked();
    let change = membership.update(&[member(1, 1, 1), member(2, 2, 1), member(1, 1, 9)], &newcomer);
    assert_eq!((change.kept, change.added.len(), change.removed.len()), (0, 2, 0), "one is listed twice");
    assert_eq!(membership.servers()[0].weight, 1.0, "the first entry counts");
    let change = membership.update(&[member(2, 2, 1), member(1, 1, 1)], &newcomer);
    assert!(!change.is_some(), "the order says nothing");
    let change = membership.update(&[member(2, 2, 1), member(1, 1, 2)], &newcomer);
    assert!(change.is_some() && change.reweighted && change.added.is_empty());
    let change = membership.update(&[member(2, 3, 1), member(1, 1, 2)], &newcomer);
    assert_eq!((change.kept, change.added.len(), change.removed.len()), (1, 1, 1), "another address");
    assert_eq!(&*change.removed[0].name, "s2");
    assert_eq!(membership.leaving(), change.removed);
    membership.forget(|_| false);
    assert!(membership.leaving().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens, a server keeps its id while it stays, and no id is ever given twice.
    #[test]
    fn ids_are_for_one_server_each(
        sets in prop::collection::vec(prop::collection::vec((0u8..6, 0u8..4, 0u8..3), 0..12), 1..12),
    ) {
        let mut membership = Membership::default();
        let mut owners = std::collections::HashMap::new();
        let mut last: Vec<Known> = Vec::new();
        for set in sets {
            let wanted: Vec<_> = set.iter().map(|&(n, a, w)| member(n, a, w)).collect();
            let change = membership.update(&wanted, &Standing::unchecked());
            let servers = membership.servers();
            prop_assert!(servers.is_sorted_by(|a, b| a.info.id < b.info.id));
            prop_assert_eq!(change.kept + change.added.len(), servers.len());
            prop_assert_eq!(change.kept + change.removed.len(), last.len());
            for known in servers {
                let owner = (known.info.name.clone(), known.info.address);
                prop_assert_eq!(owners.entry(known.info.id).or_insert_with(|| owner.clone()), &owner);
                let first = wanted.iter().find(|m| (m.name.clone(), m.address) == owner).unwrap();
                prop_assert_eq!(known.weight, first.weight);
                if let Some(before) = last.iter().find(|before| before.info == known.info) {
                    prop_assert!(Arc::ptr_eq(&before.info, &known.info));
                }
                prop_assert_eq!(&membership.get(known.info.id).unwrap().info, &known.info);
            }
            for removed in &change.removed {
                prop_assert!(membership.get(removed.id).is_none());
            }
            for member in &wanted {
                prop_assert!(servers.iter().any(|k| k.info.name == member.name && k.info.address == member.address));
            }
            last = servers.to_vec();
        }
    }
}
