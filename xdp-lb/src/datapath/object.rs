//! The programs' objects.

/// The balancer's.
pub static BALANCER: &[u8] =
    aya::include_bytes_aligned!("../../../target/ebpf/bpfel-unknown-none/release/balancer");

/// The backend's side.
pub static DECAP: &[u8] =
    aya::include_bytes_aligned!("../../../target/ebpf/bpfel-unknown-none/release/decap");
