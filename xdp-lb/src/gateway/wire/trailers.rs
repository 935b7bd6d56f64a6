//! The fields after the last chunk (RFC 9110 section 6.5).

use http::HeaderName;

use super::line::{FieldLine, field_line};
use super::{Bounds, Fault};
use crate::gateway::Reason::{BadTrailer, HeadTooLarge};

/// More than this hyper does not take.
const MOST_BYTES: usize = 16 * 1024 - 1;

/// Fields that decide on framing, routing, who asks, or how the content is read: who merges trailers into the head
/// would let them be changed after they were checked. In order.
const FORBIDDEN: [&str; 39] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
];

const LONGEST_FORBIDDEN: usize = 32;

/// Trailers that are not complete yet.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    /// Where the line begins that is not complete yet.
    line: usize,
    fields: u32,
}

impl Trailers {
    /// Goes on with the same bytes as before and further ones: how long they are, once complete.
    pub(super) fn advance(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Option<usize>, Fault> {
        let most = MOST_BYTES.min(bounds.header_bytes as usize);
        let seen = &bytes[..bytes.len().min(most)];
        loop {
            match field_line(&seen[self.line..])? {
                None if seen.len() == most => {
                    return Err(Fault::new(HeadTooLarge, "the trailers are larger than allowed"));
                }
                None => return Ok(None),
                Some(FieldLine::Empty) => return Ok(Some(self.line + 2)),
                Some(FieldLine::Field { name, length }) => {
                    if self.fields >= bounds.headers {
                        return Err(Fault::new(HeadTooLarge, "there are more trailers than allowed"));
                    }
                    self.fields += 1;
                    if is_forbidden(&seen[self.line..self.line + name]) {
                        return Err(Fault::new(BadTrailer, "a header of this name may not be a trailer"));
                    }
                    self.line += length;
                }
            }
        }
    }
}

/// Whether a trailer may not have this name, in HTTP/2 as in HTTP/1.
pub(in crate::gateway) fn is_forbidden_trailer(name: &HeaderName) -> bool {
    is_forbidden(name.as_str().as_bytes())
}

fn is_forbidden(name: &[u8]) -> bool {
    if name.len() > LONGEST_FORBIDDEN {
        return false;
    }
    // Servers that make variables of headers take _ for -.
    let mut plain = [0; LONGEST_FORBIDDEN];
    for (plain, byte) in plain.iter_mut().zip(name) {
        *plain = if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    }
    let plain = &plain[..name.len()];
    plain.starts_with(b"x-forwarded-")
        || FORBIDDEN.binary_search_by(|known| known.as_bytes().cmp(plain)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order() {
        assert!(FORBIDDEN.is_sorted());
        assert!(FORBIDDEN.iter().all(|name| is_forbidden(name.to_uppercase().as_bytes())));
        for (name, expected) in [
            ("X-Forwarded-For", true),
            ("content_length", true),
            ("x-checksum", false),
            ("grpc-status", false),
            ("", false),
            (&"h".repeat(40), false),
        ] {
            assert_eq!(is_forbidden(name.as_bytes()), expected, "{name}");
        }
    }
}
