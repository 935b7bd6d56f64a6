//! Bounds that the verifier needs to know and that the agent's configuration is checked against.

/// Most slots a VIP's table may have. A prime, so that Maglev's strides visit every slot.
pub const MAX_TABLE_SIZE: u32 = 65_537;

/// Most backends, over all VIPs: a backend id has 15 bits and 0 means none.
pub const MAX_BACKENDS: u32 = (1 << 15) - 1;

/// Most VIPs: a VIP id has 16 bits.
pub const MAX_VIPS: u32 = 1 << 16;

/// VLAN tags followed before a packet is given up on (QinQ is two).
pub const MAX_VLAN_TAGS: usize = 2;

/// IPv6 extension headers followed before a packet is given up on.
pub const MAX_EXTENSION_HEADERS: usize = 6;

/// Bytes of IPv6 extension headers followed before a packet is given up on.
pub const MAX_EXTENSION_BYTES: usize = 512;

/// Flow words in one bucket: eight words of eight bytes are one cache line.
pub const BUCKET_WORDS: usize = 8;
