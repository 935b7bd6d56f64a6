//! What the agent answers at `[admin] listen`: `/metrics` and `/healthz`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use super::web::{METRICS_TYPE, page, text};
use super::{Answer, Query, Question, ask, metrics};

/// The pages, for [`AdminServer::serve`](super::web::AdminServer); what the agent has to say is asked through `queries`.
pub(crate) fn pages(
    queries: mpsc::Sender<Query>,
) -> impl Fn(String) -> futures_util::future::BoxFuture<'static, Response<Full<Bytes>>>
+ Clone
+ Send
+ Sync
+ 'static {
    move |path| {
        let queries = queries.clone();
        Box::pin(async move { answer(&path, &queries).await })
    }
}

async fn answer(path: &str, queries: &mpsc::Sender<Query>) -> Response<Full<Bytes>> {
    match path {
        "/metrics" | "/healthz" => match ask(queries, Question::Status {}).await {
            Ok(Answer::Status(_)) if path == "/healthz" => text(StatusCode::OK, "ok\n"),
            Ok(Answer::Status(status)) => page(StatusCode::OK, METRICS_TYPE, metrics::render(&status)),
            Ok(Answer::Error { error }) | Err(error) => {
                text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
            }
            Ok(Answer::Explanation(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "not a status\n"),
        },
        "/" => text(StatusCode::OK, "xdp-lb: see /metrics and /healthz\n"),
        _ => text(StatusCode::NOT_FOUND, "there is /metrics and /healthz\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::web::{AdminServer, LONGEST_HEAD};
    use super::*;
    use crate::control::Status;

    async fn start() -> AdminServer {
        let mut server = AdminServer::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (queries, mut received) = mpsc::channel::<Query>(4);
        server.serve(pages(queries));
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
        server.serve(pages(queries));
        let answer = say(server.address(), b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the agent is stopping"), "{answer}");
    }
}
