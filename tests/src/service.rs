//! A microservice: answers in JSON with what it was asked, as slowly and as badly as it is told to.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;

use crate::netns::Handle;
use crate::serving::Serving;

/// How it behaves from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Answers 503 at once.
    Failing,
    /// Promises a body, sends half of it, and cuts the connection.
    Cutting,
}

/// The service; ends on drop, its connections too.
#[derive(Debug)]
pub struct Service {
    state: Arc<State>,
    _serving: Serving,
}

#[derive(Debug, Default)]
struct State {
    name: String,
    /// In microseconds.
    delay: AtomicU64,
    mood: Mutex<Mood>,
    /// Share of its capacity that it says is in use, in thousandths.
    utilization: AtomicU64,
    in_flight: AtomicU64,
    served: AtomicU64,
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

impl Service {
    /// Starts it in the namespace, on a port of every address, HTTP/1.1 and HTTP/2 with prior knowledge.
    pub fn start(netns: &Handle, name: &str, port: u16, delay: Duration) -> Result<Self> {
        let state = Arc::new(State { name: name.to_owned(), ..State::default() });
        state.delay.store(micros(delay), Relaxed);
        let shared = Arc::clone(&state);
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let serving = Serving::start(netns, name, address, |listener| serve(listener, shared))?;
        Ok(Self { state, _serving: serving })
    }

    /// Takes so long for each request from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.state.delay.store(micros(delay), Relaxed);
    }

    /// Behaves so from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.state.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Says from now on that so much of it is in use; 0: says nothing.
    pub fn set_utilization(&self, share: f64) {
        self.state.utilization.store((share * 1000.0) as u64, Relaxed);
    }

    /// Requests answered so far.
    pub fn served(&self) -> u64 {
        self.state.served.load(Relaxed)
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u64 {
        self.state.in_flight.load(Relaxed)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
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

/// Counts a request as under way.
struct Counted<'a>(&'a State);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

async fn answer(request: Request<Incoming>, state: &State) -> Answer {
    state.in_flight.fetch_add(1, Relaxed);
    let counted = Counted(state);
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::builder().status(400).body(BoxBody::default()).unwrap_or_default();
    };
    let mood = *state.mood.lock().unwrap_or_else(PoisonError::into_inner);
    if mood != Mood::Failing {
        tokio::time::sleep(Duration::from_micros(state.delay.load(Relaxed))).await;
    }
    let headers: serde_json::Map<_, _> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let sent = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    let told = json!({
        "server": state.name, "method": head.method.as_str(), "path": head.uri.to_string(), "headers": headers,
        "body": sent, "secret": "for the inside only",
    });
    let text = told.to_string();
    let mut response =
        Response::builder().header("content-type", "application/json").header("x-server", &state.name);
    let used = state.utilization.load(Relaxed);
    if used > 0 {
        let report = format!("TEXT application_utilization={}, rps_fractional=100", used as f64 / 1000.0);
        response = response.header("endpoint-load-metrics", report);
    }
    let built = match mood {
        Mood::Well => {
            state.served.fetch_add(1, Relaxed);
            response.body(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed())
        }
        Mood::Failing => response.status(503).body(Full::default().map_err(|never| match never {}).boxed()),
        Mood::Cutting => {
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let body = StreamBody::new(futures_util::stream::unfold(Some(half), |half| async {
                let Some(half) = half else {
                    // What was sent before is to be on its way.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return Some((Err(std::io::Error::other("cut")), None));
                };
                Some((Ok(Frame::data(half)), None))
            }));
            response.header("content-length", text.len()).body(BoxBody::new(body))
        }
    };
    drop(counted);
    built.unwrap_or_default()
}
