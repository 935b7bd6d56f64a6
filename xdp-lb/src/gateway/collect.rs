//! Takes a streamed body together into bytes, up to a limit. It never holds more than twice that limit and one
//! piece, and a body that is larger is given back whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};

use super::{Body, BodyError};

/// What came of it.
#[derive(Debug)]
pub enum Collected {
    /// All of it.
    Whole(Whole),
    /// It is larger. As it was, what had been read of it included.
    Larger(Body),
}

/// A body that has been read.
#[derive(Debug, Default)]
pub struct Whole {
    /// Its bytes.
    pub data: Bytes,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
}

/// Reads a body of at most so many bytes.
///
/// # Errors
///
/// What ended the body early.
pub async fn collect(mut body: Body, most: u64) -> Result<Collected, BodyError> {
    if body.size_hint().lower() > most {
        return Ok(Collected::Larger(body));
    }
    let mut whole = Whole::default();
    // A body of one piece is not copied.
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                let read = whole.data.len() + pieces.len();
                if (read + data.len()) as u64 > most {
                    let read =
                        [whole.data, pieces.freeze(), data].into_iter().filter(|piece| !piece.is_empty());
                    return Ok(Collected::Larger(Body::wrap(Replay { read: read.collect(), rest: body })));
                }
                if read == 0 {
                    whole.data = data;
                } else {
                    if !whole.data.is_empty() {
                        pieces.extend_from_slice(&std::mem::take(&mut whole.data));
                    }
                    pieces.extend_from_slice(&data);
                }
            }
            Err(frame) => whole.trailers = frame.into_trailers().ok(),
        }
    }
    if !pieces.is_empty() {
        whole.data = pieces.freeze();
    }
    Ok(Collected::Whole(whole))
}

impl Whole {
    /// The body again.
    pub fn into_body(self) -> Body {
        match self.trailers {
            None => Body::full(self.data),
            Some(trailers) => {
                let trailers = std::future::ready(Some(Ok(trailers)));
                Body::wrap(Full::new(self.data).with_trailers(trailers).map_err(|never| match never {}))
            }
        }
    }
}

/// A body whose begin has been read.
struct Replay {
    read: VecDeque<Bytes>,
    rest: Body,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.read.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.read.iter().map(|piece| piece.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    fn pieces(pieces: &[&'static str], trailers: bool) -> Body {
        let mut frames: Vec<_> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        if trailers {
            frames.push(Ok(Frame::trailers(HeaderMap::from_iter([(
                http::header::ETAG,
                "t".parse().unwrap(),
            )]))));
        }
        Body::wrap(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_body_comes_whole_or_is_given_back() {
        for (name, given, most, whole) in [
            ("empty", vec![], 0, true),
            ("one piece", vec!["abc"], 3, true),
            ("several", vec!["a", "", "bc", "d"], 4, true),
            ("one too many", vec!["a", "bc", "d", "e"], 3, false),
            ("the first is too large", vec!["abcd", "e"], 3, false),
        ] {
            let collected = collect(pieces(&given, true), most).await.unwrap();
            assert_eq!(matches!(collected, Collected::Whole(_)), whole, "{name}");
            let body = match collected {
                Collected::Whole(whole) => whole.into_body(),
                Collected::Larger(body) => body,
            };
            let again = body.collect().await.unwrap();
            assert_eq!(again.trailers().map(HeaderMap::len), Some(1), "{name}");
            assert_eq!(again.to_bytes(), given.concat(), "{name}");
        }
        let known = collect(Body::full("abcd"), 3).await.unwrap();
        assert!(matches!(known, Collected::Larger(body) if body.size_hint().exact() == Some(4)));
    }

    #[tokio::test]
    async fn what_ends_a_body_ends_collecting() {
        assert!(collect(pieces(&["abc", "d"], false).limited(3), 9).await.is_err());
    }
}
