//! The kernel programs, embedded: one file is all that an operator copies.

/// The ELF object with the balancer's and the decapsulator's programs and maps, aligned as its readers need.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/xdp-lb.o"));

#[cfg(test)]
mod tests {
    use super::OBJECT;

    #[test]
    fn the_object_is_an_elf_file_for_ebpf() {
        const EM_BPF: u16 = 247;
        assert_eq!(OBJECT.get(..4), Some(&b"\x7fELF"[..]));
        assert_eq!(OBJECT.get(18..20), Some(&EM_BPF.to_le_bytes()[..]));
        assert!(OBJECT.as_ptr().cast::<u64>().is_aligned());
    }
}
