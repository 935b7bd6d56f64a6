//! A server whose answers a test makes, and that tells what it was asked.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::netns::Handle;

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
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
        let (stop, stopped) = oneshot::channel();
        let (told, ready) = std::sync::mpsc::channel();
        let netns = netns.clone();
        let thread = thread::spawn(move || {
            let started = netns.enter().and_then(|()| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let listener = runtime.block_on(TcpListener::bind(address)).context("listening")?;
                Ok((runtime, listener))
            });
            match started {
                Ok((runtime, listener)) => {
                    let _ = told.send(Ok(()));
                    runtime.block_on(async {
                        tokio::select! {
                            () = serve(listener, state) => {}
                            _ = stopped => {}
                        }
                    });
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = told.send(Err(error));
                }
            }
        });
        ready.recv().context("the server's thread ended")??;
        Ok(Self { asked, stop: Some(stop), thread: Some(thread) })
    }

    /// What it was asked since this was called last, in order.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
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
