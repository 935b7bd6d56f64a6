//! A server whose answers a test makes, and that tells what it was asked.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::netns::Handle;
use crate::serving::Serving;

/// A request as it came, whole.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub target: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What came after its body.
    pub trailers: HeaderMap,
}

impl Asked {
    /// The first value of a header; empty without one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What is answered.
pub type Answer = Response<String>;

/// The server, of HTTP/1.1 and of HTTP/2 with prior knowledge. Ends on drop, its connections too.
#[derive(Debug)]
pub struct Answering {
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: Serving,
}

struct State {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
}

impl Answering {
    /// Starts it in the namespace, on a port of the loopback address.
    pub fn start(
        netns: &Handle,
        port: u16,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let state = Arc::new(State { asked: Arc::clone(&asked), answer: Box::new(answer) });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let serving = Serving::start(netns, "answering", address, |listener| serve(listener, state))?;
        Ok(Self { asked, _serving: serving })
    }

    /// What it was asked since this was called last, in order.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(request, &state).await) }
            });
            // Clients that go away are their own affair.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    let asked = Asked { method: head.method, target: head.uri, headers: head.headers, body, trailers };
    let answer = (state.answer)(&asked);
    state.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    answer.map(|text| Full::new(Bytes::from(text)))
}
