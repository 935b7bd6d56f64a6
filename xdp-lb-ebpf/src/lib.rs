//! What the programs have in common: packets in the kernel's hands, and the licence.
//!
//! Wires the shared packet code of `xdp-lb-common` to contexts and maps; decides nothing.
#![no_std]

pub mod action;
pub mod buffer;
pub mod frame;

/// Declares what every object needs: a licence that lets it call the kernel's helpers, and a panic handler that the
/// verifier never finds a way to.
#[macro_export]
macro_rules! object {
    () => {
        #[panic_handler]
        fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
            loop {}
        }

        #[unsafe(no_mangle)]
        #[unsafe(link_section = "license")]
        static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
    };
}
