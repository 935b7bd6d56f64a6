//! What of a request's body is kept for a second try.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// The frames sent so far, as long as they are not too much.
#[derive(Debug)]
pub(super) struct Tee {
    frames: Vec<Kept>,
    bytes: usize,
    most: usize,
    lost: bool,
}

#[derive(Clone, Debug)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Tee {
    /// Keeps up to so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { frames: Vec::new(), bytes: 0, most, lost: false }
    }

    /// Sees a frame go by.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) {
        if self.lost {
            return;
        }
        if let Some(data) = frame.data_ref() {
            self.bytes += data.len();
            if self.bytes > self.most {
                self.lost = true;
                self.frames = Vec::new();
                return;
            }
            self.frames.push(Kept::Data(data.clone()));
        } else if let Some(trailers) = frame.trailers_ref() {
            self.frames.push(Kept::Trailers(trailers.clone()));
        }
    }

    /// Whether all that went by is still there.
    pub(super) fn is_whole(&self) -> bool {
        !self.lost
    }

    /// Frames kept.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// One of them again.
    pub(super) fn get(&self, index: usize) -> Option<Frame<Bytes>> {
        self.frames.get(index).map(|kept| match kept.clone() {
            Kept::Data(data) => Frame::data(data),
            Kept::Trailers(trailers) => Frame::trailers(trailers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_all_or_nothing() {
        for (what, most, pieces, whole, frames) in [
            ("nothing sent", 0, &[][..], true, 0),
            ("just enough", 5, &["abc", "de"][..], true, 2),
            ("one byte too many", 4, &["abc", "de"][..], false, 0),
            ("nothing after that either", 4, &["abc", "de", "f"][..], false, 0),
            ("nothing is kept", 0, &["a"][..], false, 0),
        ] {
            let mut tee = Tee::new(most);
            for piece in pieces {
                tee.push(&Frame::data(Bytes::from_static(piece.as_bytes())));
            }
            assert_eq!((tee.is_whole(), tee.len()), (whole, frames), "{what}");
        }
    }

    #[test]
    fn gives_back_what_went_by() {
        let mut tee = Tee::new(10);
        tee.push(&Frame::data(Bytes::from_static(b"abc")));
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        tee.push(&Frame::trailers(trailers.clone()));
        assert_eq!(tee.get(0).unwrap().into_data().unwrap(), "abc");
        assert_eq!(tee.get(1).unwrap().into_trailers().unwrap(), trailers);
        assert!(tee.get(2).is_none());
    }
}
