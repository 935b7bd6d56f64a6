//! What libFuzzer links: calls the target that `XDP_LB_FUZZ` names with every input. `cargo xtask fuzz` builds and runs it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use xdp_lb_tests::fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("XDP_LB_FUZZ").unwrap_or_default();
        let target = Target::named(&name).unwrap_or_else(|| panic!("XDP_LB_FUZZ={name}: no such target"));
        let _ = TARGET.set(target);
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            target.run(input);
        }
    }
);
