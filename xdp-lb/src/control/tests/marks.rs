//! Where checks go, and the marks they bear.

use xdp_lb_common::check::mark_of;

use super::*;
use crate::config::{CheckVia, Health};

/// Address and mark of the first check of each of two backends, by id.
fn first_checks(via: CheckVia) -> Vec<(BackendId, IpAddr, Option<u32>)> {
    let health = Health { via, ..health() };
    let (mut control, _) =
        Control::new(config(vec![vip(health, vec![backend(1, 1), backend(2, 1)])]), None, None, 1, at(0));
    let mut checks: Vec<_> = control
        .handle(Event::Tick, at(1))
        .into_iter()
        .filter_map(|command| match command {
            Command::Probe { backend, address, mark, .. } => Some((backend, address, mark)),
            _ => None,
        })
        .collect();
    checks.sort_by_key(|(backend, ..)| *backend);
    checks
}

#[test]
fn a_check_by_the_data_path_goes_to_the_vip_with_its_backend_s_mark() {
    let vip = IpAddr::from([203, 0, 113, 10]);
    let (one, two) = (id(1), id(2));
    assert_eq!(
        first_checks(CheckVia::DataPath),
        [(one, vip, Some(mark_of(one))), (two, vip, Some(mark_of(two)))]
    );
    assert_eq!(first_checks(CheckVia::Direct), [(one, address(1), None), (two, address(2), None)]);
}
