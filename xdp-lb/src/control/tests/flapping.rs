//! A backend that comes and goes.

use super::*;

#[test]
fn a_flapping_backend_is_held_down_and_that_is_said_once() {
    let backends = (1..=4).map(|last| backend(last, 1)).collect();
    let (mut control, _) = Control::new(config(vec![vip(health(), backends)]), None, None, 1, at(0));
    let mut now = 10;
    run_checks(&mut control, None, at(0), now);
    let mut said = Vec::new();
    for _ in 0..4 {
        said.extend(names(&run_checks(&mut control, Some(2), at(now), now + 10)));
        now += 10;
        for _ in 0..40 {
            said.extend(names(&run_checks(&mut control, None, at(now), now + 1)));
            now += 1;
            said.extend(names(&count(&mut control, &[], now)));
        }
    }
    let flapping = "flapping: went down three times within 5 minutes; has to pass for 10 s before it counts as up, and \
                    for twice as long each time it goes down again";
    assert_eq!(said.iter().filter(|what| *what == flapping).count(), 1);
    assert_eq!(said.iter().filter(|what| *what == "up").count(), 4);
    let reason = control.status(at(now)).vips.remove(0).backends.remove(1).reason;
    assert_eq!(reason, "last check passed; flapped: has to pass for 40 s when it goes down again");

    run_checks(&mut control, Some(2), at(now), now + 10);
    run_checks(&mut control, None, at(now + 10), now + 20);
    count(&mut control, &[], now + 25);
    let state = control.status(at(now + 25)).vips.remove(0).backends.remove(1);
    assert_eq!((state.state.as_str(), state.share), ("down", 0.0), "its checks pass");
    assert!(state.reason.starts_with("flapping: up again after passing for 40 s, "), "{}", state.reason);
}
