//! A copy of a request to another pool, whose answer nobody waits for.
//!
//! It is made as the request's body goes by and sent when the body was whole, so that the request itself waits for
//! nothing: neither for its own body nor for the mirror.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::{EXPECT, UPGRADE};
use http::request::Parts;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::Handle;
use crate::config::gateway::Mirror;
use crate::gateway::asker::Asker;
use crate::gateway::site::Site;
use crate::gateway::verify::Ask as _;
use crate::gateway::{Body, BodyError};

/// Largest body that is copied; requests with larger ones are not.
const MOST_BYTES: u64 = 64 << 10;

/// Copies under way at once in the process; beyond them none is made, so that a slow mirror holds nothing up.
const MOST_COPIES: u32 = 256;

/// How long a copy's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

static COPIES: AtomicU32 = AtomicU32::new(0);

/// One of them.
struct Copy;

impl Copy {
    fn take() -> Option<Self> {
        // The guard gives back what it took too much.
        let copy = Self;
        (COPIES.fetch_add(1, Relaxed) < MOST_COPIES).then_some(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        COPIES.fetch_sub(1, Relaxed);
    }
}

impl Handle {
    /// The body, which sends the copy on its way when it has gone by.
    pub(super) fn mirror(&self, site: &Arc<Site>, mirror: &Mirror, head: &Parts, body: Body) -> Body {
        if head.headers.contains_key(UPGRADE) || body.size_hint().lower() > MOST_BYTES {
            return body;
        }
        let mut request = Request::new(());
        request.method_mut().clone_from(&head.method);
        request.uri_mut().clone_from(&head.uri);
        request.headers_mut().clone_from(&head.headers);
        // Its body is there.
        request.headers_mut().remove(EXPECT);
        let asker = Asker { pools: Arc::clone(&site.pools), upstream: Arc::clone(&self.upstream) };
        let pool = mirror.pool;
        copied(body, move |data| {
            if let Some(copy) = Copy::take() {
                tokio::spawn(ask(copy, asker, pool, request.map(|()| Body::full(data))));
            }
        })
    }
}

async fn ask(copy: Copy, asker: Asker, pool: usize, request: Request<Body>) {
    let read = async {
        if let Ok(response) = asker.ask(pool, request, PATIENCE).await {
            let mut body = response.into_body();
            while let Some(Ok(_)) = body.frame().await {}
        }
    };
    // What the mirror makes of it is its own affair; its pool's metrics tell.
    let _ = tokio::time::timeout(PATIENCE, read).await;
    drop(copy);
}

/// The body, whose bytes are given to `whole` once all of them have gone by, unless they are too many.
fn copied(body: Body, whole: impl FnOnce(Bytes) + Send + 'static) -> Body {
    if body.is_empty() {
        whole(Bytes::new());
        return body;
    }
    Body::wrap(Copied { body, copy: Some((BytesMut::new(), Box::new(whole))) })
}

/// Takes the whole.
type Wanted = Box<dyn FnOnce(Bytes) + Send>;

struct Copied {
    body: Body,
    /// What has gone by, and who wants it.
    copy: Option<(BytesMut, Wanted)>,
}

impl Copied {
    fn saw(&mut self, data: &Bytes) {
        let Some((seen, _)) = &mut self.copy else { return };
        if (seen.len() + data.len()) as u64 > MOST_BYTES {
            self.copy = None;
        } else {
            seen.extend_from_slice(data);
        }
    }

    fn whole(&mut self) {
        if let Some((seen, whole)) = self.copy.take() {
            whole(seen.freeze());
        }
    }
}

impl http_body::Body for Copied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.saw(data);
                }
                // Who knows that this was all may not ask again.
                if self.body.is_end_stream() {
                    self.whole();
                }
            }
            Some(Err(_)) => self.copy = None,
            None => self.whole(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::StreamBody;

    use super::*;

    type Seen = Arc<Mutex<Vec<Bytes>>>;

    fn watched(body: Body) -> (Body, Seen) {
        let seen = Seen::default();
        let copies = Arc::clone(&seen);
        (copied(body, move |data| copies.lock().unwrap().push(data)), seen)
    }

    #[tokio::test]
    async fn nothing_waits_for_the_whole_body() {
        let (sender, mut pieces) = tokio::sync::mpsc::unbounded_channel();
        let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
        let (mut body, seen) = watched(Body::wrap(StreamBody::new(pieces)));
        sender.send(Ok(Frame::data(Bytes::from_static(b"ab")))).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(seen.lock().unwrap().is_empty());
        sender.send(Ok(Frame::data(Bytes::from_static(b"cd")))).unwrap();
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "cd");
        assert_eq!(*seen.lock().unwrap(), ["abcd"]);
    }

    #[tokio::test]
    async fn what_is_whole_and_not_too_long_is_copied_once() {
        let most = MOST_BYTES as usize;
        for (what, body, copies) in [
            ("none", Body::empty(), &[0][..]),
            ("short", Body::full("abc"), &[3]),
            ("just short enough", Body::full(vec![b'x'; most]), &[most]),
            ("too long", Body::full(vec![b'x'; most + 1]), &[]),
            ("broken", Body::full("abc").limited(2), &[]),
        ] {
            let (body, seen) = watched(body);
            let _ = body.collect().await;
            let seen: Vec<_> = seen.lock().unwrap().iter().map(Bytes::len).collect();
            assert_eq!(seen, copies, "{what}");
        }
        let (body, seen) = watched(Body::full("abc"));
        drop(body);
        assert!(seen.lock().unwrap().is_empty(), "nobody wanted it");
    }
}
