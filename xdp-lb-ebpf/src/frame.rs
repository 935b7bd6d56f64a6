//! An XDP frame as a packet: the one place where its memory is touched.
//!
//! Words of a frame are not aligned: the IP header starts at byte 14. The machines that XDP runs on load them whole
//! all the same, and the verifier allows it there, but the compiler, told that a pointer is unaligned, emits a load
//! for every byte (2.5 times the instructions). Telling it for the whole program that unaligned loads are cheap makes
//! it merge stores to the stack in ways that the verifier refuses. So words of a frame are accessed as if aligned,
//! here and nowhere else; on this target, alignment decides nothing but which load instruction is emitted.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail};
use xdp_lb_common::packet::{Packet, PacketMut, Wire};

/// The frame of the current program run.
pub struct Frame {
    context: *mut xdp_md,
}

impl Frame {
    /// The frame of `context`.
    ///
    /// # Safety
    /// `context` is the argument of the XDP program that is running.
    #[inline(always)]
    pub unsafe fn new(context: *mut xdp_md) -> Self {
        Self { context }
    }

    /// Index of the interface it came in by.
    #[inline(always)]
    pub fn ingress(&self) -> u32 {
        // SAFETY: the context outlives the program run.
        unsafe { (*self.context).ingress_ifindex }
    }

    /// For helpers that take the context.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut xdp_md {
        self.context
    }

    #[inline(always)]
    fn start(&self) -> usize {
        // SAFETY: the context outlives the program run; the verifier makes the field a pointer.
        unsafe { (*self.context).data as usize }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.context).data_end as usize }
    }

    /// Address of `T` at `offset`, if it lies within the frame.
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let address = self.start() + offset;
        if address + size_of::<T>() > self.end() { None } else { Some(address as *mut T) }
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn len(&self) -> usize {
        self.end() - self.start()
    }

    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let address = self.at::<T>(offset)?;
        // SAFETY: `at` checked the end; `Wire` takes any bytes; for alignment see the module's text.
        Some(unsafe { address.read() })
    }
}

impl PacketMut for Frame {
    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let address = self.at::<T>(offset)?;
        // SAFETY: `at` checked the end, and the frame is ours to write; for alignment see the module's text.
        unsafe { address.write(value) };
        Some(())
    }

    #[inline(always)]
    fn push(&mut self, bytes: usize) -> Option<()> {
        // SAFETY: the helper checks the room.
        let moved = unsafe { bpf_xdp_adjust_head(self.context, -(bytes as i32)) };
        (moved == 0).then_some(())
    }

    #[inline(always)]
    fn pull(&mut self, bytes: usize) -> Option<()> {
        // SAFETY: the helper checks what remains.
        let moved = unsafe { bpf_xdp_adjust_head(self.context, bytes as i32) };
        (moved == 0).then_some(())
    }

    #[inline(always)]
    fn truncate(&mut self, length: usize) -> Option<()> {
        let surplus = self.len().checked_sub(length)?;
        // SAFETY: the helper checks what remains.
        let moved = unsafe { bpf_xdp_adjust_tail(self.context, -(surplus as i32)) };
        (moved == 0).then_some(())
    }
}
