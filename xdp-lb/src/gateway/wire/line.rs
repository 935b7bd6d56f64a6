//! One line of a head. Read strictly from left to right, so that a line is refused at the same byte however it is cut.

use super::class::{METHOD, PATH, QUERY, TOKEN, control, is, run};
use super::{Fault, target};
use crate::gateway::Reason::{BadMethod, BadSyntax, BadTarget, BadVersion, FoldedHeader, TargetTooLong};

/// Longest method: the longest registered one has 17.
const LONGEST_METHOD: usize = 32;

/// A request's first line.
pub(super) struct RequestLine {
    /// Where the target's authority is, in absolute form.
    pub(super) authority: Option<(usize, usize)>,
    /// 1.1 rather than 1.0.
    pub(super) is_1_1: bool,
    /// Bytes, the line's end included.
    pub(super) length: usize,
}

/// A line after that.
pub(super) enum FieldLine {
    /// An empty one, of two bytes: the head is over.
    Empty,
    /// A field.
    Field {
        /// Where its name ends, which begins the line.
        name: usize,
        /// Bytes, the line's end included.
        length: usize,
    },
}

/// Reads `METHOD SP target SP HTTP/1.x CRLF` (RFC 9112 section 3); none where more bytes are needed.
pub(super) fn request_line(bytes: &[u8], uri_bytes: usize) -> Result<Option<RequestLine>, Fault> {
    let method = run(bytes, METHOD);
    if method > LONGEST_METHOD {
        return Err(Fault::new(BadMethod, "the method is longer than 32 bytes"));
    }
    let Some(&after) = bytes.get(method) else { return Ok(None) };
    if after != b' ' {
        return Err(if is(after, TOKEN) {
            Fault::new(BadMethod, "a method is made of capitals, - and _")
        } else {
            Fault::new(BadSyntax, "a request begins with a method and one blank")
        });
    }
    match &bytes[..method] {
        b"" => return Err(Fault::new(BadSyntax, "a request begins with its method")),
        b"CONNECT" => return Err(Fault::new(BadMethod, "this is no proxy for tunnels: CONNECT is refused")),
        b"TRACE" | b"TRACK" => return Err(Fault::new(BadMethod, "TRACE tells what others added: refused")),
        _ => {}
    }
    let start = method + 1;
    let mut end = start + run(&bytes[start..], PATH);
    if bytes.get(end) == Some(&b'?') {
        end += 1;
        end += run(&bytes[end..], QUERY);
    }
    if end - start > uri_bytes {
        return Err(Fault::new(TargetTooLong, "the target is longer than allowed"));
    }
    match bytes.get(end) {
        None => return Ok(None),
        Some(b' ') if end > start => {}
        Some(b' ') => return Err(Fault::new(BadSyntax, "one blank stands between method and target")),
        Some(b'\r' | b'\n') => return Err(Fault::new(BadSyntax, "the request has no version")),
        Some(_) => return Err(Fault::new(BadTarget, "the target holds a character that has to be escaped")),
    }
    let authority = target::form(&bytes[..method], &bytes[start..end])?;
    let authority = authority.map(|(from, to)| (start + from, start + to));
    let version = end + 1;
    let Some(is_1_1) = version_and_end(&bytes[version..])? else { return Ok(None) };
    Ok(Some(RequestLine { authority, is_1_1, length: version + 10 }))
}

/// Reads `HTTP/1.x CRLF`: whether x is 1.
fn version_and_end(bytes: &[u8]) -> Result<Option<bool>, Fault> {
    let expected = b"HTTP/1.1\r\n";
    if bytes.starts_with(expected) {
        return Ok(Some(true));
    }
    for (at, want) in expected.iter().enumerate() {
        match bytes.get(at) {
            None => return Ok(None),
            Some(byte) if byte == want || (at == 7 && *byte == b'0') => {}
            Some(byte) if matches!(at, 5 | 7) && byte.is_ascii_digit() => {
                return Err(Fault::new(BadVersion, "only HTTP/1.0, 1.1 and 2 are served"));
            }
            Some(_) if at < 8 => return Err(Fault::new(BadSyntax, "what follows the target is no version")),
            Some(_) => return Err(Fault::new(BadSyntax, "the request line does not end in CR LF")),
        }
    }
    Ok(Some(bytes[7] == b'1'))
}

/// Reads `name: value CRLF` (RFC 9112 section 5), or an empty line; none where more bytes are needed.
#[inline]
pub(super) fn field_line(bytes: &[u8]) -> Result<Option<FieldLine>, Fault> {
    let name = run(bytes, TOKEN);
    match bytes.get(name) {
        None => return Ok(None),
        Some(b':') if name > 0 => {}
        Some(&other) => return no_field(bytes, name, other),
    }
    let Some(end) = control(&bytes[name + 1..]) else { return Ok(None) };
    let end = name + 1 + end;
    match bytes[end] {
        b'\r' => match bytes.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(FieldLine::Field { name, length: end + 2 })),
            Some(_) => Err(Fault::new(BadSyntax, "a carriage return stands alone")),
        },
        b'\n' => Err(Fault::new(BadSyntax, "a line ends in LF without CR")),
        _ => Err(Fault::new(BadSyntax, "a header's value holds a control character")),
    }
}

#[cold]
fn no_field(bytes: &[u8], name: usize, other: u8) -> Result<Option<FieldLine>, Fault> {
    let detail = match (name, other) {
        (0, b'\r') => match bytes.get(1) {
            None => return Ok(None),
            Some(b'\n') => return Ok(Some(FieldLine::Empty)),
            Some(_) => "a carriage return stands alone",
        },
        (0, b'\n') => "a line ends in LF without CR",
        (0, b' ' | b'\t') => return Err(Fault::new(FoldedHeader, "a header goes on in the next line")),
        (0, b':') => "a header has no name",
        (_, b' ' | b'\t') => "a blank stands before a header's colon",
        (_, b'\r' | b'\n') => "a header line has no colon",
        _ => "a header's name holds a character that may not be in one",
    };
    Err(Fault::new(BadSyntax, detail))
}
