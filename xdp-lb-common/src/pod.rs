//! Map values that aya may copy between kernel and agent.

use crate::bench::BenchSettings;
use crate::choice::BackendLoad;
use crate::decap::DecapSettings;
use crate::maps::{Backend, Bucket, Budget, DirectoryEntry, Settings, Traffic};

// SAFETY: `repr(C)`, only integers, no padding (sizes are asserted), any bytes are valid.
unsafe impl aya::Pod for Settings {}
// SAFETY: as above.
unsafe impl aya::Pod for DirectoryEntry {}
// SAFETY: as above.
unsafe impl aya::Pod for Backend {}
// SAFETY: as above.
unsafe impl aya::Pod for Bucket {}
// SAFETY: as above.
unsafe impl aya::Pod for BackendLoad {}
// SAFETY: as above.
unsafe impl aya::Pod for Traffic {}
// SAFETY: as above.
unsafe impl aya::Pod for Budget {}
// SAFETY: as above.
unsafe impl aya::Pod for DecapSettings {}
// SAFETY: as above.
unsafe impl aya::Pod for BenchSettings {}
