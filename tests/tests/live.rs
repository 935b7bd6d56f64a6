//! Live weights on real connections: a server that becomes slow loses its share and gets it back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::experiment::{Bed, PATIENCE, RETURNS, SLOWED, SLOWNESS, Weighing};
use xdp_lb_tests::openload::Summary;
use xdp_lb_tests::require_root;

#[test]
fn a_slowed_server_loses_half_its_share_in_time_and_recovers_and_nothing_is_reset() {
    require_root!();
    let bed = Bed::new().unwrap();
    let mut experiment = bed.start(Weighing::Live).unwrap();
    let (soon, later) = (Duration::from_secs(15), Duration::from_secs(60));

    experiment.return_cold().unwrap();
    let share_of_seven = experiment.share(SLOWED).unwrap();
    experiment.wait_share(RETURNS, soon, "above nothing", |share| share > 0.0).unwrap();
    let young = experiment.share(RETURNS).unwrap();
    assert!(young < share_of_seven / 2.0, "a cold server begins with {young:.4} of {share_of_seven:.4}");

    let before = experiment.share(SLOWED).unwrap();
    experiment.slow_down(SLOWNESS);
    experiment.wait_share(SLOWED, soon, "half of what it was", |share| share <= before / 2.0).unwrap();
    experiment.slow_down(1.0);
    experiment.wait_share(SLOWED, later, "three quarters of before", |share| share >= 0.75 * before).unwrap();

    let requests = experiment.end();
    let summary = Summary::of(requests.iter(), PATIENCE);
    assert_eq!(summary.resets, 0, "of {} requests", summary.requests);
    assert!(summary.requests > 1000, "{} requests", summary.requests);
}
