//! Building the eBPF object: shared by `cargo xtask` and by the build script of `xdp-lb`.
