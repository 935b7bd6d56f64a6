//! ORCA over gRPC: `StreamCoreMetrics` at the interval that the client wishes.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::sampler::{LEAST, Sample};
use crate::utilization::client::orca_grpc::METHOD;
use crate::utilization::orca::UPTIME;
use crate::utilization::orca::message::{OrcaLoadReport, OrcaLoadReportRequest};

/// Interval where the client names none.
const USUAL: Duration = Duration::from_secs(1);

/// Shortest interval: how often is measured.
const SHORTEST: Duration = Duration::from_millis(250);

/// Longest, so that a client that is gone is noticed by what is sent to it.
const LONGEST: Duration = Duration::from_secs(600);

/// Bytes of a request, and of its headers.
const MOST_BYTES: usize = 4096;
const MOST_HEADERS: u32 = 8 * 1024;

/// Streams over one connection.
const MOST_STREAMS: u32 = 8;

/// How long a request may take to arrive, and a connection may be without one.
const CALL_TIME: Duration = Duration::from_secs(5);

/// Between two pings, by which a client that is gone is found out.
const PING: Duration = Duration::from_secs(10);

pub(super) async fn answer(client: TcpStream, samples: watch::Receiver<Sample>) {
    let _ = client.set_nodelay(true);
    // Held once by the connection, and once more by each call.
    let calls = Arc::new(());
    let watched = Arc::downgrade(&calls);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let method = Metrics { samples: samples.clone(), call: Arc::clone(&calls) };
        async move { Ok::<_, Infallible>(respond(request, method).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEADERS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(client), service);
    let idle = async {
        loop {
            sleep(CALL_TIME).await;
            if watched.strong_count() <= 1 {
                return;
            }
        }
    };
    tokio::select! {
        // A client that breaks off is its own affair.
        _ = connection => {}
        () = idle => {}
    }
}

async fn respond(request: http::Request<Incoming>, method: Metrics) -> http::Response<tonic::body::Body> {
    if request.uri().path() != METHOD {
        return Status::unimplemented(format!("only {METHOD} is answered here")).into_http();
    }
    let codec = ProstCodec::<OrcaLoadReport, OrcaLoadReportRequest>::default();
    let mut server = Grpc::new(codec).max_decoding_message_size(MOST_BYTES);
    match timeout(CALL_TIME, server.server_streaming(method, request)).await {
        Ok(response) => response,
        Err(_) => Status::deadline_exceeded(format!("no whole request within {CALL_TIME:?}")).into_http(),
    }
}

/// The method.
struct Metrics {
    samples: watch::Receiver<Sample>,
    call: Arc<()>,
}

impl ServerStreamingService<OrcaLoadReportRequest> for Metrics {
    type Response = OrcaLoadReport;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<OrcaLoadReport, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<OrcaLoadReportRequest>) -> Self::Future {
        let mut ticks = interval(wished(request.get_ref()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state = (ticks, self.samples.clone(), Arc::clone(&self.call));
        let stream: Self::ResponseStream = Box::pin(unfold(state, async |(mut ticks, samples, call)| {
            // Nothing is sent while nothing is known.
            loop {
                ticks.tick().await;
                let message = message(&samples.borrow());
                if message != OrcaLoadReport::default() {
                    return Some((Ok(message), (ticks, samples, call)));
                }
            }
        }));
        ready(Ok(Response::new(stream)))
    }
}

/// The client's interval, within bounds; one that is none is as good as not named.
fn wished(request: &OrcaLoadReportRequest) -> Duration {
    let wish = request.report_interval.and_then(|wish| {
        let wish = Duration::new(
            u64::try_from(wish.seconds).ok()?,
            u32::try_from(wish.nanos).ok()?.min(999_999_999),
        );
        (!wish.is_zero()).then_some(wish)
    });
    wish.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)
}

fn message(sample: &Sample) -> OrcaLoadReport {
    OrcaLoadReport {
        cpu_utilization: sample.utilization.map_or(0.0, |used| used.max(LEAST)),
        named_metrics: sample.age.map(|age| (UPTIME.to_owned(), age.as_secs_f64())).into_iter().collect(),
        ..OrcaLoadReport::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utilization::orca::message::Interval as Wish;

    #[test]
    fn intervals_within_bounds() {
        for (wish, expected) in [
            (None, USUAL),
            (Some((0, 0)), USUAL),
            (Some((5, 500_000_000)), Duration::from_millis(5500)),
            (Some((0, 1)), SHORTEST),
            (Some((-5, 0)), USUAL),
            (Some((5, -1)), USUAL),
            (Some((i64::MAX, i32::MAX)), LONGEST),
        ] {
            let request = OrcaLoadReportRequest {
                report_interval: wish.map(|(seconds, nanos)| Wish { seconds, nanos }),
                request_cost_names: Vec::new(),
            };
            assert_eq!(wished(&request), expected, "{wish:?}");
        }
    }
}
