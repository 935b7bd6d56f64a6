use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// What the other end says first: RFC 9113 section 3.4.
const PREFACE: u32 = 24;

/// Bytes of a frame's head.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Idle frames that one which carries something pays for: pings to measure by, windows, priorities.
const PAID: u32 = 4;

/// Bytes of answers that pay for an idle frame: clients open windows for what they got.
const BYTES: i64 = 32;

/// Most bytes of answers that are remembered for that.
const MOST_BYTES: i64 = 1 << 20;

/// Looks at the heads of the frames that come in: h2 answers or takes each at once, however many come, and waits for the
/// rest of one for ever. Counts those that carry nothing of a request, and fails once there are too many of them; tells
/// the connection's [`Activity`] whether something has begun and not ended. Keeps no bytes but those of a head that is
/// not whole, and looks at no clock.
pub(super) struct Frames<IO> {
    io: IO,
    activity: Arc<Activity>,
    parser: Parser,
    /// Bytes written, but for those that idle frames are answered with.
    written: i64,
    /// Most idle frames until somebody counts anew.
    most: u32,
}

impl<IO> Frames<IO> {
    pub(super) fn new(io: IO, activity: Arc<Activity>, most: u32) -> Self {
        Self { io, activity, parser: Parser::new(), written: 0, most }
    }

    fn came(&mut self, bytes: &[u8]) -> io::Result<()> {
        let seen = self.parser.take(bytes);
        self.activity.set_partial(self.parser.is_partial(), seen.ended);
        if seen.idle == 0 && self.activity.idle_frames() == 0 {
            return Ok(());
        }
        self.written -= i64::from(seen.answer);
        let paid = (self.written / BYTES).clamp(0, i64::from(seen.idle));
        self.written -= paid * BYTES;
        let idle = seen.idle - u32::try_from(paid).unwrap_or(0);
        if self.activity.add_idle_frames(idle, seen.useful.saturating_mul(PAID)) > self.most {
            return Err(io::Error::other(
                "more frames that carry nothing than limits.idle_frames_per_second",
            ));
        }
        Ok(())
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.written = (self.written + i64::try_from(count).unwrap_or(MOST_BYTES)).min(MOST_BYTES);
        }
        written
    }
}

struct Parser {
    head: [u8; HEAD],
    /// Bytes of it that are there.
    filled: usize,
    /// Bytes that have yet to come of the preface or of a frame's payload.
    left: u32,
    /// Whether those are a body's.
    is_data: bool,
    /// A request's head goes on in another frame.
    goes_on: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Frames that carry nothing of a request.
    idle: u32,
    /// Others.
    useful: u32,
    /// Bytes that the idle ones are answered with.
    answer: u32,
    /// Whatever had begun before has ended.
    ended: bool,
}

impl Parser {
    fn new() -> Self {
        Self { head: [0; HEAD], filled: 0, left: PREFACE, is_data: false, goes_on: false }
    }

    /// Whether something has begun and not ended. A body may take its time: that has limits of its own.
    fn is_partial(&self) -> bool {
        self.goes_on || self.filled > 0 || self.left > 0 && !self.is_data
    }

    fn take(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        loop {
            if self.left > 0 {
                let count = bytes.len().min(self.left as usize);
                bytes = &bytes[count..];
                self.left -= count as u32;
            }
            seen.ended |= !self.is_partial();
            if bytes.is_empty() {
                return seen;
            }
            let count = bytes.len().min(HEAD - self.filled);
            self.head[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == HEAD {
                self.filled = 0;
                self.begin(&mut seen);
            }
        }
    }

    fn begin(&mut self, seen: &mut Seen) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        self.is_data = kind == DATA;
        match kind {
            HEADERS | CONTINUATION => {
                self.goes_on = flags & END_HEADERS == 0;
                seen.useful += 1;
            }
            DATA if self.left > 0 || flags & END_STREAM != 0 => seen.useful += 1,
            _ => {
                seen.idle += 1;
                seen.answer += match kind {
                    PING if flags & ACK == 0 => 17,
                    SETTINGS if flags & ACK == 0 => 9,
                    _ => 0,
                };
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Frames<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        Poll::Ready(self.came(&buffer.filled()[before..]))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Frames<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8) -> Vec<u8> {
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEAD + length as usize, 0);
        frame
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let whole = [
            vec![b'P'; PREFACE as usize],
            frame(6, SETTINGS, 0),
            frame(0, SETTINGS, ACK),
            frame(8, PING, 0),
            frame(300, HEADERS, END_HEADERS),
            frame(40, HEADERS, 0),
            frame(40, CONTINUATION, END_HEADERS),
            frame(70_000, DATA, 0),
            frame(0, DATA, 0),
            frame(0, DATA, END_STREAM),
            frame(4, 8, 0),
            frame(5, 0xfa, 0),
        ]
        .concat();
        for size in [1, 2, 7, 9, 10, 1000, whole.len()] {
            let mut parser = Parser::new();
            let mut total = Seen::default();
            for piece in whole.chunks(size) {
                let seen = parser.take(piece);
                total.idle += seen.idle;
                total.useful += seen.useful;
                total.answer += seen.answer;
            }
            assert_eq!((total.idle, total.useful, total.answer), (6, 5, 26), "in pieces of {size}");
            assert!(!parser.is_partial());
        }
    }

    #[test]
    fn what_has_begun_is_partial_until_it_ends() {
        for (pieces, partial) in [
            (vec![vec![b'P'; 3]], true),
            (vec![vec![b'P'; 24]], false),
            (vec![vec![b'P'; 24], vec![0, 0]], true),
            (vec![vec![b'P'; 24], frame(40, HEADERS, 0)], true),
            (vec![vec![b'P'; 24], frame(40, HEADERS, 0), frame(4, CONTINUATION, 0)], true),
            (vec![vec![b'P'; 24], frame(40, HEADERS, 0), frame(4, CONTINUATION, END_HEADERS)], false),
            (vec![vec![b'P'; 24], frame(40, HEADERS, END_HEADERS)[..20].to_vec()], true),
            (vec![vec![b'P'; 24], frame(8, PING, 0)[..12].to_vec()], true),
            (vec![vec![b'P'; 24], frame(40, DATA, 0)[..20].to_vec()], false),
        ] {
            let mut parser = Parser::new();
            for piece in &pieces {
                parser.take(piece);
            }
            assert_eq!(parser.is_partial(), partial, "{pieces:?}");
        }
    }

    #[test]
    fn requests_and_answers_pay_for_idle_frames_and_answers_to_these_do_not() {
        let ping = frame(8, PING, 0);
        for (what, useful, written, most) in [
            ("nothing else", vec![], 0, 20),
            ("their answers", vec![], 17, 20),
            ("requests", frame(40, HEADERS, END_HEADERS), 0, usize::MAX),
            ("answers", vec![], 17 + 32, usize::MAX),
        ] {
            let activity = Activity::new(tokio::time::Instant::now());
            let mut frames = Frames::new(tokio::io::empty(), activity, 20);
            frames.came(&[b'P'; 24]).unwrap();
            let taken = (0..1000).take_while(|_| {
                let mut came = useful.clone();
                came.extend(&ping);
                let is_taken = frames.came(&came).is_ok();
                let _ = frames.wrote(Poll::Ready(Ok(written)));
                is_taken
            });
            assert_eq!(taken.count(), most.min(1000), "{what}");
        }
    }
}
