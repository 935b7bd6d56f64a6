//! ORCA over HTTP: any `GET` is answered with `endpoint-load-metrics`, and with the same text as body, for people.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::sampler::{LEAST, Sample};
use crate::utilization::orca::UPTIME;

/// How long a request's head may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(2);

/// How long a client may take in all.
const WHOLE_TIME: Duration = Duration::from_secs(10);

/// Bytes of a request's head: the least that hyper takes as a bound.
const LONGEST_HEAD: usize = 8 * 1024;

pub(super) async fn answer(client: TcpStream, samples: watch::Receiver<Sample>) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = respond(request.method(), &samples.borrow());
        async move { Ok::<_, Infallible>(response) }
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

fn respond(method: &Method, sample: &Sample) -> Response<Full<Bytes>> {
    let report = text(sample);
    let mut response = Response::new(Full::new(Bytes::from(report.clone() + "\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if method != Method::GET && method != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        *response.body_mut() = Full::new(Bytes::from_static(b"only GET and HEAD are answered here\n"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    } else if let Ok(value) = HeaderValue::try_from(format!("TEXT {report}"))
        && !report.is_empty()
    {
        response.headers_mut().insert("endpoint-load-metrics", value);
    }
    response
}

fn text(sample: &Sample) -> String {
    let used = sample.utilization.map(|used| format!("cpu_utilization={:.4}", used.max(LEAST)));
    let age = sample.age.map(|age| format!("named_metrics.{UPTIME}={:.3}", age.as_secs_f64()));
    used.into_iter().chain(age).collect::<Vec<_>>().join(",")
}
