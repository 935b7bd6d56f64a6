//! `[admin] listen`: `/metrics` and `/healthz` over HTTP, to read and nothing else.

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
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Answer, Query, Question, ask, metrics};

/// Clients served at once; more wait to be accepted.
const MOST_CLIENTS: usize = 32;

/// How long a request's head may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a client may take in all.
const WHOLE_TIME: Duration = Duration::from_secs(30);

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 16 * 1024;

/// Media type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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

    /// Starts to answer; what the agent has to say is asked through `queries`.
    pub fn serve(&mut self, queries: mpsc::Sender<Query>) {
        if let Some(listener) = self.listener.take() {
            self.server = Some(tokio::spawn(serve(listener, queries)));
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

async fn serve(listener: TcpListener, queries: mpsc::Sender<Query>) {
    let room = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let queries = queries.clone();
                tokio::spawn(async move {
                    talk(client, queries).await;
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

async fn talk(client: TcpStream, queries: mpsc::Sender<Query>) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let queries = queries.clone();
        async move { Ok::<_, Infallible>(answer(request.method(), request.uri().path(), &queries).await) }
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

async fn answer(method: &Method, path: &str, queries: &mpsc::Sender<Query>) -> Response<Full<Bytes>> {
    if method != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".to_owned());
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
        return response;
    }
    match path {
        "/metrics" | "/healthz" => match ask(queries, Question::Status {}).await {
            Ok(Answer::Status(_)) if path == "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            Ok(Answer::Status(status)) => {
                let mut response = text(StatusCode::OK, metrics::render(&status));
                let kind = header::HeaderValue::from_static(METRICS_TYPE);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Ok(Answer::Error { error }) | Err(error) => {
                text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
            }
            Ok(Answer::Explanation(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "not a status\n".to_owned()),
        },
        "/" => text(StatusCode::OK, "xdp-lb: see /metrics and /healthz\n".to_owned()),
        _ => text(StatusCode::NOT_FOUND, "there is /metrics and /healthz\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::control::Status;

    async fn start() -> AdminServer {
        let mut server = AdminServer::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (queries, mut received) = mpsc::channel::<Query>(4);
        server.serve(queries);
        tokio::spawn(async move {
            while let Some(query) = received.recv().await {
                let status =
                    Status { vips: vec![], interfaces: vec![], reasons: vec![], flows: 3, flow_capacity: 64 };
                let _ = query.answer.send(Answer::Status(Box::new(status)));
            }
        });
        server
    }

    async fn say(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn paths_and_methods() {
        let server = start().await;
        let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(2 * LONGEST_HEAD));
        for (request, status, body) in [
            ("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", "200 OK", "\nxdp_lb_flows 3\n"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK", "\nxdp_lb_flows 3\n"),
            ("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", "200 OK", "\r\nok\n"),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "200 OK", "/metrics"),
            ("GET /../etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n", "404 Not Found", ""),
            (
                "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
                "405 Method Not Allowed",
                "only GET",
            ),
            ("nonsense\r\n\r\n", "400 Bad Request", ""),
            (&long, "431 Request Header Fields Too Large", ""),
        ] {
            let answer = say(server.address(), request.as_bytes()).await;
            let first = answer.lines().next().unwrap_or_default();
            assert!(first.ends_with(status) && answer.contains(body), "{request:.60}: {answer:.300}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let server = start().await;
        let error = AdminServer::open(server.address()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("admin.listen = \"{}\"", server.address())), "{error}");
    }

    #[tokio::test]
    async fn a_stopped_agent_is_not_healthy() {
        let mut server = AdminServer::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (queries, received) = mpsc::channel(1);
        drop(received);
        server.serve(queries);
        let answer = say(server.address(), b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the agent is stopping"), "{answer}");
    }
}
