//! A socket buffer on its way out as a packet: what the host itself sends. Words are accessed as in [`crate::frame`],
//! for the same reason.

use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
};
use aya_ebpf::helpers::generated::{bpf_get_hash_recalc, bpf_skb_adjust_room};
use xdp_lb_common::packet::{Packet, PacketMut, Wire};
use xdp_lb_common::wire::{IPV4_LEN, IPV6_LEN};

/// The buffer of the current program run, from the Ethernet header on.
pub struct Buffer {
    context: *mut __sk_buff,
}

impl Buffer {
    /// The buffer of `context`.
    ///
    /// # Safety
    /// `context` is the argument of the traffic-control program that is running, on an Ethernet device's way out.
    #[inline(always)]
    pub unsafe fn new(context: *mut __sk_buff) -> Self {
        Self { context }
    }

    /// Index of the interface it is leaving by.
    #[inline(always)]
    pub fn egress(&self) -> u32 {
        // SAFETY: the context outlives the program run.
        unsafe { (*self.context).ifindex }
    }

    /// The mark of the socket it comes from.
    #[inline(always)]
    pub fn mark(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.context).mark }
    }

    /// Takes the mark off.
    #[inline(always)]
    pub fn clear_mark(&mut self) {
        // SAFETY: as above, and programs may write this field.
        unsafe { (*self.context).mark = 0 }
    }

    /// The kernel's hash over addresses and ports.
    #[inline(always)]
    pub fn flow_hash(&self) -> u32 {
        // SAFETY: the context is the running program's.
        unsafe { bpf_get_hash_recalc(self.context) }
    }

    /// Address of `T` at `offset`, if it lies within the part that can be accessed: the host's headers do.
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        // SAFETY: the context outlives the program run; the verifier makes the fields pointers.
        let (start, end) = unsafe { ((*self.context).data as usize, (*self.context).data_end as usize) };
        let address = start + offset;
        if address + size_of::<T>() > end { None } else { Some(address as *mut T) }
    }
}

impl Packet for Buffer {
    #[inline(always)]
    fn len(&self) -> usize {
        // SAFETY: the context outlives the program run.
        unsafe { (*self.context).len as usize }
    }

    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let address = self.at::<T>(offset)?;
        // SAFETY: `at` checked the end; `Wire` takes any bytes; for alignment see `frame`.
        Some(unsafe { address.read() })
    }
}

impl PacketMut for Buffer {
    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let address = self.at::<T>(offset)?;
        // SAFETY: `at` checked the end; the kernel has made the part before it this packet's own; for alignment see
        // `frame`.
        unsafe { address.write(value) };
        Some(())
    }

    /// Room for an outer IP header, of 20 or 40 bytes: what else the kernel knows of the packet, as its protocol and
    /// where a network card is to put the checksum, is kept right by telling it so.
    #[inline(always)]
    fn push(&mut self, bytes: usize) -> Option<()> {
        let flags = match bytes {
            IPV4_LEN => BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
            IPV6_LEN => BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
            _ => return None,
        };
        // SAFETY: the context is the running program's; the helper checks the room.
        let moved =
            unsafe { bpf_skb_adjust_room(self.context, bytes as i32, BPF_ADJ_ROOM_MAC, flags as u64) };
        (moved == 0).then_some(())
    }

    /// Nothing is taken off on the way out.
    #[inline(always)]
    fn pull(&mut self, _bytes: usize) -> Option<()> {
        None
    }

    /// Nothing is taken off on the way out.
    #[inline(always)]
    fn truncate(&mut self, _length: usize) -> Option<()> {
        None
    }
}
