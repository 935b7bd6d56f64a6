//! What of the configured limits concerns a head.

use std::time::Duration;

use crate::config::gateway::Limits;

/// How large a head may be, and how slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lines of a head, or fields of HTTP/2; also of trailers.
    pub headers: u32,
    /// Bytes of a head, its last line end included; also of trailers.
    pub header_bytes: u32,
    /// Bytes of a target.
    pub uri_bytes: u32,
    /// From a head's first byte to its last.
    pub header_timeout: Duration,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Self {
            headers: limits.headers,
            header_bytes: limits.header_bytes,
            uri_bytes: limits.uri_bytes,
            header_timeout: limits.header_timeout,
        }
    }
}
