//! A request's head, line by line, and what it says about where the request ends.

use super::host::authority;
use super::line::{FieldLine, field_line, request_line};
use super::{Bounds, Fault};
use crate::gateway::Reason::{BadCoding, BadExpectation, BadHost, BadLength, BadSyntax, HeadTooLarge};

/// A head that is not complete yet. Places in it count from its begin.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not complete yet.
    line: usize,
    fields: u32,
    is_1_1: bool,
    /// Of an absolute target.
    authority: Option<(usize, usize)>,
    host: Option<(usize, usize)>,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

/// What a complete head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    /// Bytes of the head.
    pub(super) length: usize,
    /// What follows.
    pub(super) content: Content,
    /// Whether it asks for another protocol.
    pub(super) upgrade: bool,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

impl Head {
    /// Goes on with the same bytes as before and further ones; none as long as it is not complete.
    pub(super) fn advance(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Option<Framing>, Fault> {
        let most = bounds.header_bytes as usize;
        // What lies beyond the limit is not looked at: the verdict is the same however much of it has come.
        let seen = &bytes[..bytes.len().min(most)];
        let framing = self.lines(seen, bounds)?;
        if framing.is_none() && seen.len() == most {
            return Err(Fault::new(HeadTooLarge, "the head is larger than allowed"));
        }
        Ok(framing)
    }

    fn lines(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Option<Framing>, Fault> {
        if self.line == 0 {
            let Some(first) = request_line(bytes, bounds.uri_bytes as usize)? else { return Ok(None) };
            (self.line, self.is_1_1, self.authority) = (first.length, first.is_1_1, first.authority);
        }
        loop {
            let line = &bytes[self.line..];
            match field_line(line)? {
                None => return Ok(None),
                Some(FieldLine::Empty) => return self.whole(bytes).map(Some),
                Some(FieldLine::Field { name, length }) => {
                    if self.fields >= bounds.headers {
                        return Err(Fault::new(HeadTooLarge, "the head has more lines than allowed"));
                    }
                    self.fields += 1;
                    // By its length first: of the names that matter here there is at most one of each.
                    if matches!(name, 4 | 6 | 7 | 14 | 17) {
                        self.field(&line[..name], &line[name + 1..length - 2], self.line + name + 1)?;
                    }
                    self.line += length;
                }
            }
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8], at: usize) -> Result<(), Fault> {
        if name.eq_ignore_ascii_case(b"host") {
            return self.set_host(value, at);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            return self.set_length(value);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return self.set_coding(value);
        }
        if name.eq_ignore_ascii_case(b"expect") {
            return if value.trim_ascii().eq_ignore_ascii_case(b"100-continue") {
                Ok(())
            } else {
                Err(Fault::new(BadExpectation, "the only expectation that can be met is 100-continue"))
            };
        }
        if name.eq_ignore_ascii_case(b"content_length") || name.eq_ignore_ascii_case(b"transfer_encoding") {
            let detail =
                "a header with _ in its name is one that frames the request, to servers that take _ for -";
            return Err(Fault::new(BadSyntax, detail));
        }
        self.upgrade |= name.eq_ignore_ascii_case(b"upgrade");
        Ok(())
    }

    fn set_host(&mut self, value: &[u8], at: usize) -> Result<(), Fault> {
        let trimmed = blanks_off(value);
        let start = at + value.len() - trim_start(value).len();
        if self.host.replace((start, start + trimmed.len())).is_some() {
            return Err(Fault::new(BadHost, "Host is there twice"));
        }
        authority(trimmed).map(|_| ()).map_err(|detail| Fault::new(BadHost, detail))
    }

    fn set_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked {
            return Err(Fault::new(BadLength, "Content-Length and Transfer-Encoding are both there"));
        }
        let length = number(blanks_off(value))
            .ok_or(Fault::new(BadLength, "Content-Length is no decimal number, or too large a one"))?;
        if self.content_length.replace(length).is_some() {
            return Err(Fault::new(BadLength, "Content-Length is there twice"));
        }
        Ok(())
    }

    fn set_coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.content_length.is_some() {
            return Err(Fault::new(BadLength, "Content-Length and Transfer-Encoding are both there"));
        }
        if !self.is_1_1 {
            return Err(Fault::new(BadCoding, "HTTP/1.0 has no Transfer-Encoding"));
        }
        if std::mem::replace(&mut self.chunked, true) {
            return Err(Fault::new(BadCoding, "Transfer-Encoding is there twice"));
        }
        if !blanks_off(value).eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::new(BadCoding, "the only transfer coding taken is chunked"));
        }
        Ok(())
    }

    fn whole(&self, bytes: &[u8]) -> Result<Framing, Fault> {
        // HTTP/1.0 does not demand a Host. But here it decides who answers: none is made up.
        let Some((from, to)) = self.host else {
            return Err(Fault::new(BadHost, "Host is missing"));
        };
        if let Some((start, end)) = self.authority
            && !bytes[start..end].eq_ignore_ascii_case(&bytes[from..to])
        {
            return Err(Fault::new(BadHost, "Host is not the one in the target"));
        }
        let content = match self.content_length {
            _ if self.chunked => Content::Chunked,
            length => Content::Length(length.unwrap_or(0)),
        };
        Ok(Framing { length: self.line + 2, content, upgrade: self.upgrade && self.is_1_1 })
    }
}

/// Decimal digits as RFC 9110 has them, but no zeros before others, which some read as octal, and no more than the
/// largest file there can be.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits[0] == b'0' && digits.len() > 1) || digits.len() > 19 {
        return None;
    }
    let mut number = 0u64;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number * 10 + u64::from(value);
    }
    i64::try_from(number).is_ok().then_some(number)
}

/// A value without the blanks around it. Not without tabs: what decides on framing is told apart by nothing that some
/// servers trim and others do not.
fn blanks_off(value: &[u8]) -> &[u8] {
    let value = trim_start(value);
    let end = value.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &value[..end]
}

fn trim_start(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| *byte != b' ').unwrap_or(value.len());
    &value[start..]
}
