//! Fields of HTTP/2 (RFC 9113 section 8.2), which no inspector of bytes has seen.

use http::HeaderMap;
use http::header::{CONNECTION, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};

use crate::gateway::Reason::{BadExpectation, BadLength, BadSyntax, HeadTooLarge};
use crate::gateway::wire::{Bounds, Fault};

/// What RFC 9113 section 6.5.2 counts for each field above its bytes.
const OVERHEAD: usize = 32;

/// Checks them all.
pub(super) fn check(headers: &HeaderMap, bounds: Bounds) -> Result<(), Fault> {
    if headers.len() > bounds.headers as usize {
        return Err(Fault::new(HeadTooLarge, "the head has more fields than allowed"));
    }
    let mut bytes = 0;
    let mut lengths = 0;
    for (name, value) in headers {
        let (name, value) = (name, value.as_bytes());
        bytes += name.as_str().len() + value.len() + OVERHEAD;
        match name {
            &CONNECTION | &TRANSFER_ENCODING | &UPGRADE => {
                return Err(Fault::new(BadSyntax, "HTTP/2 has no headers that concern the connection"));
            }
            &TE if !value.eq_ignore_ascii_case(b"trailers") => {
                return Err(Fault::new(BadSyntax, "HTTP/2 has no TE other than trailers"));
            }
            &EXPECT if !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Fault::new(
                    BadExpectation,
                    "the only expectation that can be met is 100-continue",
                ));
            }
            &http::header::CONTENT_LENGTH => {
                lengths += 1;
                if lengths > 1 || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                    return Err(Fault::new(BadLength, "Content-Length is there twice, or no number"));
                }
            }
            other => check_other(other.as_str())?,
        }
        let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if blank(value.first()) || blank(value.last()) {
            return Err(Fault::new(BadSyntax, "a header's value begins or ends with a blank"));
        }
    }
    if bytes > bounds.header_bytes as usize {
        return Err(Fault::new(HeadTooLarge, "the head is larger than allowed"));
    }
    Ok(())
}

fn check_other(name: &str) -> Result<(), Fault> {
    match name {
        "keep-alive" | "proxy-connection" => {
            Err(Fault::new(BadSyntax, "HTTP/2 has no headers that concern the connection"))
        }
        "content_length" | "transfer_encoding" => Err(Fault::new(
            BadSyntax,
            "a header with _ in its name is one that frames the request, to servers that take _ for -",
        )),
        _ => Ok(()),
    }
}
