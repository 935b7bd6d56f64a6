//! The kernel programs, embedded: one file is all that an operator copies. Aligned as the readers of ELF files need.

/// The balancer.
pub static BALANCER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/balancer.o"));

/// What leads health checks by the data path.
pub static CHECK: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/check.o"));

/// The backend's side.
pub static DECAP: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/decap.o"));

/// What measures the balancer. Not linked into a program that does not use it.
pub static BENCH: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bench.o"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_are_elf_files_for_ebpf() {
        const EM_BPF: u16 = 247;
        for object in [BALANCER, CHECK, DECAP, BENCH] {
            assert_eq!(object.get(..4), Some(&b"\x7fELF"[..]));
            assert_eq!(object.get(18..20), Some(&EM_BPF.to_le_bytes()[..]));
            assert!(object.as_ptr().cast::<u64>().is_aligned());
        }
    }
}
