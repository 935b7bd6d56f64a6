//! Access to a packet's bytes, whoever holds them: the kernel's XDP context or a buffer in a test.

/// Plain data that any bytes are a valid value of, read and written unaligned.
///
/// # Safety
/// Implementors have no padding and no invalid bit patterns.
pub unsafe trait Wire: Copy {}

// SAFETY: integers take any bit pattern and have no padding.
unsafe impl Wire for u8 {}
// SAFETY: as above.
unsafe impl Wire for u16 {}
// SAFETY: as above.
unsafe impl Wire for u32 {}
// SAFETY: as above.
unsafe impl Wire for u64 {}
// SAFETY: an array of such data has no padding either.
unsafe impl<T: Wire, const N: usize> Wire for [T; N] {}

/// Reading a packet. Offsets count from the first byte of the Ethernet header.
pub trait Packet {
    /// Bytes of the frame.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes at `offset` as they lie there; `None` past the end.
    fn load<T: Wire>(&self, offset: usize) -> Option<T>;

    /// A 16-bit number in network order.
    #[inline(always)]
    fn load_be16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_be(self.load(offset)?))
    }
}

/// Changing a packet.
pub trait PacketMut: Packet {
    /// Writes at `offset`; `None`, and nothing written, past the end.
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Adds `bytes` of undefined content before the first byte; `None` without room.
    fn push(&mut self, bytes: usize) -> Option<()>;

    /// Drops the first `bytes`; `None` if nothing of the packet would remain.
    fn pull(&mut self, bytes: usize) -> Option<()>;

    /// Shortens the frame to `length` bytes; `None` if it is shorter already.
    fn truncate(&mut self, length: usize) -> Option<()>;
}

/// A packet in a buffer with room before it.
#[derive(Debug)]
pub struct BufferPacket<'a> {
    buffer: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a> BufferPacket<'a> {
    /// The packet that fills `buffer` from `start` on; the bytes before are head room.
    ///
    /// `start` past the end of `buffer` makes an empty packet.
    pub fn new(buffer: &'a mut [u8], start: usize) -> Self {
        let end = buffer.len();
        Self { buffer, start: start.min(end), end }
    }

    /// The frame's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

impl Packet for BufferPacket<'_> {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.bytes().get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: `bytes` is as long as `T`, which takes any bytes.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

impl PacketMut for BufferPacket<'_> {
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let frame = self.buffer.get_mut(self.start..self.end)?;
        let bytes = frame.get_mut(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: `bytes` is as long as `T`.
        unsafe { bytes.as_mut_ptr().cast::<T>().write_unaligned(value) };
        Some(())
    }

    fn push(&mut self, bytes: usize) -> Option<()> {
        self.start = self.start.checked_sub(bytes)?;
        Some(())
    }

    fn pull(&mut self, bytes: usize) -> Option<()> {
        if bytes >= self.len() {
            return None;
        }
        self.start += bytes;
        Some(())
    }

    fn truncate(&mut self, length: usize) -> Option<()> {
        if length > self.len() {
            return None;
        }
        self.end = self.start + length;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_a_packet_hold() {
        let mut bytes = [0, 0, 1, 2, 3, 4];
        let mut packet = BufferPacket::new(&mut bytes, 2);
        assert_eq!(packet.load::<[u8; 4]>(0), Some([1, 2, 3, 4]));
        assert_eq!(packet.load_be16(1), Some(0x0203));
        assert_eq!(packet.load::<u16>(3), None);
        assert_eq!(packet.load::<u8>(usize::MAX), None);
        assert_eq!(packet.push(3), None);
        assert_eq!(packet.push(2), Some(()));
        assert_eq!(packet.store(0, [9u8; 2]), Some(()));
        assert_eq!(packet.truncate(7), None);
        assert_eq!(packet.truncate(3), Some(()));
        assert_eq!(packet.bytes(), [9, 9, 1]);
        assert_eq!(packet.store(2, [7u8; 2]), None);
        assert_eq!(packet.pull(3), None);
        assert_eq!(packet.pull(1), Some(()));
        assert_eq!(packet.bytes(), [9, 1]);
    }
}
