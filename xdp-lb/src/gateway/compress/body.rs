//! A body that compresses another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::core::util::{PartialBuffer, WriteBuffer};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};

use super::encoder::{self, Encoder};
use crate::config::gateway::Encoding;
use crate::gateway::{Body, BodyError, Reason};

/// Bytes of output that are gathered before they are passed on, unless the source has nothing more at the moment.
const OUTPUT: usize = 8 * 1024;

/// A body, compressed.
pub(super) struct Compressed {
    source: Body,
    encoder: Encoder,
    /// What of the source is not yet encoded.
    input: Bytes,
    output: Box<[u8]>,
    /// Bytes of it that are filled.
    filled: usize,
    /// Whether the encoder may hold something back.
    holds: bool,
    stage: Stage,
    trailers: Option<HeaderMap>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The source goes on.
    Encoding,
    /// The source is over.
    Finishing,
    /// All is encoded.
    Done,
}

impl Compressed {
    pub(super) fn new(source: Body, encoding: Encoding) -> Self {
        Self {
            source,
            encoder: encoder::new(encoding),
            input: Bytes::new(),
            output: vec![0; OUTPUT].into(),
            filled: 0,
            holds: false,
            stage: Stage::Encoding,
            trailers: None,
        }
    }

    /// Calls the encoder with what space there is in the output.
    fn run<T>(
        &mut self,
        call: impl FnOnce(&mut Encoder, &mut WriteBuffer<'_>) -> io::Result<T>,
    ) -> Result<T, BodyError> {
        let mut output = WriteBuffer::new_initialized(&mut self.output[self.filled..]);
        let done = call(&mut self.encoder, &mut output);
        self.filled += output.written_len();
        done.map_err(|error| BodyError {
            reason: Reason::Internal,
            cause: format!("compression failed: {error}"),
        })
    }

    fn encode_input(&mut self) -> Result<(), BodyError> {
        let mut input = std::mem::take(&mut self.input);
        let mut partial = PartialBuffer::new(&input[..]);
        self.run(|encoder, output| encoder.encode(&mut partial, output))?;
        let read = partial.written_len();
        self.input = input.split_off(read);
        self.holds = true;
        Ok(())
    }

    /// What is in the output, as a frame.
    fn take(&mut self) -> Frame<Bytes> {
        let filled = std::mem::take(&mut self.filled);
        Frame::data(Bytes::copy_from_slice(&self.output[..filled]))
    }

    /// The next frame; `None` at the end.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BodyError>> {
        loop {
            if self.filled == self.output.len() {
                return Poll::Ready(Ok(Some(self.take())));
            }
            if !self.input.is_empty() {
                self.encode_input()?;
                continue;
            }
            match self.stage {
                Stage::Encoding => match Pin::new(&mut self.source).poll_frame(context) {
                    Poll::Ready(None) => self.stage = Stage::Finishing,
                    Poll::Ready(Some(frame)) => match frame?.into_data() {
                        Ok(data) => self.input = data,
                        Err(frame) => self.trailers = frame.into_trailers().ok(),
                    },
                    Poll::Pending if self.holds => {
                        let all = self.run(|encoder, output| encoder.flush(output))?;
                        self.holds = !all;
                    }
                    Poll::Pending if self.filled > 0 => return Poll::Ready(Ok(Some(self.take()))),
                    Poll::Pending => return Poll::Pending,
                },
                Stage::Finishing => {
                    if self.run(|encoder, output| encoder.finish(output))? {
                        self.stage = Stage::Done;
                    }
                }
                Stage::Done if self.filled > 0 => return Poll::Ready(Ok(Some(self.take()))),
                Stage::Done => return Poll::Ready(Ok(self.trailers.take().map(Frame::trailers))),
            }
        }
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.next(context).map(Result::transpose)
    }

    fn is_end_stream(&self) -> bool {
        self.stage == Stage::Done && self.filled == 0 && self.trailers.is_none()
    }
}
