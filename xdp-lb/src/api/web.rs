//! Pages over HTTP, to read and nothing else: what `[admin] listen` answers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Clients served at once; more wait to be accepted.
const MOST_CLIENTS: usize = 32;

/// How long a request's head may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a client may take in all.
const WHOLE_TIME: Duration = Duration::from_secs(30);

/// Bytes of a request's head.
pub(super) const LONGEST_HEAD: usize = 16 * 1024;

/// Media type of Prometheus' text format.
pub(crate) const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why the admin address does not answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at admin.listen = \"{address}\": {reason}; give it a free address of this machine")]
pub struct AdminError {
    address: SocketAddr,
    reason: io::Error,
}

/// The listening admin server. Ends when dropped.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    listener: Option<TcpListener>,
    server: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Listens at `address`.
    pub async fn open(address: SocketAddr) -> Result<Self, AdminError> {
        let failed = |reason| AdminError { address, reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { address, listener: Some(listener), server: None })
    }

    /// Where it listens; the port is never 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to answer: `pages` gets the path of each GET.
    pub(crate) fn serve<P, A>(&mut self, pages: P)
    where
        P: Fn(String) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        if let Some(listener) = self.listener.take() {
            self.server = Some(tokio::spawn(serve(listener, pages)));
        }
    }
}

impl AdminServer {
    /// Ends, and waits until the address is free.
    pub async fn close(mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // It ends by being cancelled, which is what was asked for.
            let _ = server.await;
        }
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn serve<P, A>(listener: TcpListener, pages: P)
where
    P: Fn(String) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let pages = pages.clone();
                tokio::spawn(async move {
                    talk(client, pages).await;
                    drop(place);
                });
            }
            Err(e) => {
                tracing::warn!("admin: cannot accept a client: {e}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn talk<P, A>(client: TcpStream, pages: P)
where
    P: Fn(String) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let page = (request.method() == Method::GET).then(|| pages(request.uri().path().to_owned()));
        async move {
            Ok::<_, Infallible>(match page {
                Some(page) => page.await,
                None => only_get(),
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(client), service);
    // A client that breaks off or is too slow is its own affair.
    let _ = timeout(WHOLE_TIME, connection).await;
}

/// A page, as it is sent.
pub(crate) fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// A page of plain text.
pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body.into())
}

fn only_get() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
    response
}
