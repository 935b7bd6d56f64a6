//! ORCA out of band: `xds.service.orca.v3.OpenRcaService/StreamCoreMetrics` over HTTP/2 without TLS.

use std::error::Error as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tonic::client::{Grpc, GrpcService};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{Limit, connect, unix_now};
use crate::control::{NoReport, NoReportKind, Report};
use crate::probe::bounded::{self, Bounded, Excess};
use crate::probe::words;
use crate::utilization::orca::message::{Interval, OrcaLoadReportRequest, Received};
use crate::utilization::refuse::no;
use crate::utilization::{MOST_BYTES, orca};

/// The method's path.
pub(crate) const METHOD: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

/// Bytes that a server may send ahead, so that what is read is never old.
const WINDOW: u32 = 16 * 1024;

/// Bytes of headers and trailers.
const MOST_HEADERS: u32 = 8 * 1024;

/// Between two pings, by which a peer that has gone without a word is found out.
const PING: Duration = Duration::from_secs(10);

/// A stream of reports. Its connection ends with it.
pub(crate) struct Stream {
    reports: Streaming<Received>,
    excess: Excess,
    _connection: JoinSet<()>,
}

impl Stream {
    /// Waits for the next report. The outer error ends the stream, the inner one is of this report alone. May be
    /// dropped while it waits: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Result<Report, NoReport>, NoReport> {
        match self.reports.message().await {
            Ok(Some(message)) => Ok(orca::report(&message, unix_now())),
            Ok(None) => Err(no(NoReportKind::Unreachable, "the server ended the stream")),
            Err(status) => Err(refused(&status, &self.excess)),
        }
    }
}

/// Asks for a report every `interval`.
pub(crate) async fn open(address: SocketAddr, interval: Duration, limit: &Limit) -> Result<Stream, NoReport> {
    let stream = connect(address, limit).await?;
    let _ = stream.set_nodelay(true);
    let stream = Bounded::each(stream, interval);
    let excess = stream.excess();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(MOST_HEADERS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let handshake = limit.hold("connected, but no answer", builder.handshake(TokioIo::new(stream))).await?;
    let (sender, driver) = handshake.map_err(|e| no(NoReportKind::Unreachable, words::hyper(&e)))?;
    let mut connection = JoinSet::new();
    connection.spawn(async move {
        // Its error reaches the stream as well.
        let _ = driver.await;
    });
    let origin =
        http::Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build();
    let origin = origin.map_err(|e| no(NoReportKind::Unreachable, format!("{address} is no origin: {e}")))?;
    let mut client = Grpc::with_origin(Sender(sender), origin).max_decoding_message_size(MOST_BYTES);
    let request = OrcaLoadReportRequest {
        report_interval: Some(Interval {
            seconds: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(interval.subsec_nanos()).unwrap_or(0),
        }),
        request_cost_names: Vec::new(),
    };
    let call = async {
        let codec = ProstCodec::<OrcaLoadReportRequest, Received>::default();
        client.server_streaming(Request::new(request), PathAndQuery::from_static(METHOD), codec).await
    };
    let response =
        limit.hold("connected, but no answer", call).await?.map_err(|status| refused(&status, &excess))?;
    Ok(Stream { reports: response.into_inner(), excess, _connection: connection })
}

fn refused(status: &Status, excess: &Excess) -> NoReport {
    if excess.happened() {
        return no(NoReportKind::TooLong, bounded::words());
    }
    let message = message(status);
    match status.code() {
        Code::OutOfRange => no(NoReportKind::TooLong, message),
        _ if is_garbage(&message) => no(NoReportKind::Garbage, message),
        Code::Unimplemented => {
            no(NoReportKind::Missing, format!("the server has no OpenRcaService: {message}"))
        }
        code => no(NoReportKind::Unreachable, format!("{code:?}: {message}")),
    }
}

/// What the server said; where it is the connection that failed, what HTTP/2 has against it: the status says no more
/// than that it did.
fn message(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text.chars().filter(|sign| !sign.is_control()).take(200).collect()
}

/// prost's words for bytes that are no such message, and tonic's for messages in a form that was not agreed on.
fn is_garbage(message: &str) -> bool {
    ["decode", "rotobuf", "ompressed", "compression flag"].iter().any(|words| message.contains(words))
}

/// hyper's sender as tonic wants it.
struct Sender(http2::SendRequest<tonic::body::Body>);

impl GrpcService<tonic::body::Body> for Sender {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
