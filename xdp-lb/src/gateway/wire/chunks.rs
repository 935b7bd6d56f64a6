//! A body in chunks (RFC 9112 section 7.1), up to the line end of its last chunk.

use super::Fault;
use super::class::{TOKEN, is};
use crate::gateway::Reason::BadChunk;

/// Longest extension of one chunk. Signed uploads to object stores have 85 bytes.
const LONGEST_EXTENSION: u16 = 256;

/// Most bytes of extensions of all chunks together: hyper's own limit, which is 16 KiB.
const MOST_EXTENSIONS: u16 = 16 * 1024 - 1;

/// Where in the chunks we are.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk: read so far, then what is left of it.
    size: u64,
    digits: u8,
    extension: u16,
    extensions: u16,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Size,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// After `;`.
    NameStart,
    Name,
    /// After `=`.
    ValueStart,
    Token,
    Quoted,
    Escaped,
    Unquoted,
}

impl Chunks {
    /// How many of the bytes are right, whether the last chunk's line is complete with them, and what is wrong after.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Result<bool, Fault>) {
        let mut at = 0;
        while at < bytes.len() {
            if matches!(self.at, At::Data) {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len() - at);
                at += taken;
                self.size -= taken as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            match self.step(bytes[at]) {
                Ok(false) => at += 1,
                Ok(true) => return (at + 1, Ok(true)),
                Err(detail) => return (at, Err(Fault::new(BadChunk, detail))),
            }
        }
        (at, Ok(false))
    }

    /// Whether the last chunk's line is complete.
    fn step(&mut self, byte: u8) -> Result<bool, &'static str> {
        self.at = match self.at {
            At::Size => return self.size(byte).map(|()| false),
            At::SizeLf if byte == b'\n' => {
                (self.digits, self.extension) = (0, 0);
                if self.size == 0 {
                    return Ok(true);
                }
                At::Data
            }
            At::SizeLf => return Err("a chunk's size does not end in CR LF"),
            At::DataCr if byte == b'\r' => At::DataLf,
            At::DataLf if byte == b'\n' => At::Size,
            At::DataCr | At::DataLf => return Err("a chunk is not followed by CR LF"),
            // Taken whole before.
            At::Data => At::Data,
            inside => {
                let next = extension(inside, byte)?;
                if !matches!(next, At::SizeLf) {
                    self.count()?;
                }
                next
            }
        };
        Ok(false)
    }

    fn size(&mut self, byte: u8) -> Result<(), &'static str> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => {
                self.at = At::SizeLf;
                return Ok(());
            }
            b';' if self.digits > 0 => {
                self.at = At::NameStart;
                return self.count();
            }
            _ => return Err("a chunk's size is not made of hexadecimal digits"),
        };
        if self.digits == 16 {
            return Err("a chunk's size has more than 16 digits");
        }
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        // What a signed number cannot hold is negative to some.
        if self.size > i64::MAX as u64 { Err("a chunk is too large") } else { Ok(()) }
    }

    fn count(&mut self) -> Result<(), &'static str> {
        if self.extension == LONGEST_EXTENSION || self.extensions == MOST_EXTENSIONS {
            return Err("the chunks' extensions are longer than allowed");
        }
        self.extension += 1;
        self.extensions += 1;
        Ok(())
    }
}

/// `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the blanks that RFC 9112 calls bad.
fn extension(at: At, byte: u8) -> Result<At, &'static str> {
    let wrong = "a chunk's extension is not of the form name=value";
    Ok(match (at, byte) {
        (At::Name | At::Token | At::Unquoted, b'\r') => At::SizeLf,
        (At::Name | At::Token | At::Unquoted, b';') => At::NameStart,
        (At::Name, b'=') => At::ValueStart,
        (At::NameStart | At::Name, _) if is(byte, TOKEN) => At::Name,
        (At::ValueStart, b'"') => At::Quoted,
        (At::ValueStart | At::Token, _) if is(byte, TOKEN) => At::Token,
        (At::Quoted, b'"') => At::Unquoted,
        (At::Quoted, b'\\') => At::Escaped,
        (At::Quoted | At::Escaped, _) if byte == b'\t' || !byte.is_ascii_control() => At::Quoted,
        _ => return Err(wrong),
    })
}
