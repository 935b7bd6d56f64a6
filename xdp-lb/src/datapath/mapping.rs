//! A BPF array mapped into the agent: stores that the kernel program sees at once, without system calls.

use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aya::Pod;
use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};
use std::os::fd::AsRawFd;

/// The entries of a `BPF_F_MMAPABLE` array, shared with the kernel. Everything is read and written in aligned words,
/// so that neither side sees half of one.
pub(super) struct Mapping<T> {
    memory: MmapRaw,
    entries: u32,
    value: PhantomData<T>,
}

impl<T: Pod> Mapping<T> {
    /// Bytes from one entry to the next: the kernel rounds values up to eight.
    const STRIDE: usize = size_of::<T>().next_multiple_of(8);

    /// Maps all `entries` of `map`.
    pub(super) fn new(map: &MapData, entries: u32) -> io::Result<Self> {
        let length = Self::STRIDE * entries as usize;
        let memory = MmapOptions::new().len(length).map_raw(map.fd().as_fd().as_raw_fd())?;
        Ok(Self { memory, entries, value: PhantomData })
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// The 64-bit word `word` of entry `index`; `None` past the end.
    pub(super) fn word(&self, index: u32, word: usize) -> Option<&AtomicU64> {
        let address = self.address(index, word * 8, 8)?;
        // SAFETY: within the mapping, which lives as long as `self`; entries are eight bytes aligned; the kernel
        // writes whole words only.
        Some(unsafe { AtomicU64::from_ptr(address.cast()) })
    }

    /// The 32-bit word `word` of entry `index`; `None` past the end.
    pub(super) fn half_word(&self, index: u32, word: usize) -> Option<&AtomicU32> {
        let address = self.address(index, word * 4, 4)?;
        // SAFETY: as above, with four bytes.
        Some(unsafe { AtomicU32::from_ptr(address.cast()) })
    }

    fn address(&self, index: u32, offset: usize, bytes: usize) -> Option<*mut u8> {
        if index >= self.entries || offset + bytes > size_of::<T>() {
            return None;
        }
        Some(self.memory.as_mut_ptr().wrapping_add(Self::STRIDE * index as usize + offset))
    }

    /// A copy of entry `index`, word by word. Only for values whose size is whole words.
    pub(super) fn get(&self, index: u32) -> Option<T> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 64) };
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        for word in 0..size_of::<T>() / 8 {
            let content = self.word(index, word)?.load(Ordering::Relaxed);
            // SAFETY: `word` is within `T`.
            unsafe { value.as_mut_ptr().cast::<u64>().add(word).write_unaligned(content) };
        }
        // SAFETY: every word is written, and `Pod` takes any bytes.
        Some(unsafe { value.assume_init() })
    }

    /// Stores `value` in entry `index`, word by word, leaving alone the words that are the same already. Only for
    /// values whose size is whole words. `None`, and nothing stored, past the end.
    pub(super) fn set(&self, index: u32, value: &T) -> Option<()> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        for word in 0..size_of::<T>() / 8 {
            // SAFETY: `word` is within `T`.
            let content = unsafe { std::ptr::from_ref(value).cast::<u64>().add(word).read_unaligned() };
            let place = self.word(index, word)?;
            if place.load(Ordering::Relaxed) != content {
                place.store(content, Ordering::Release);
            }
        }
        Some(())
    }
}
