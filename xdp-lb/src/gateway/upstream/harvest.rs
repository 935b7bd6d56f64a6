//! What a server says of itself beside its answer. It is for the gateway, and taken off the answer.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

use crate::control::Report;
use crate::utilization::orca;

/// In the middle of all names that ORCA's report goes by.
const ORCA: &str = "endpoint-load-metrics";

/// Takes the report off the headers or trailers. One that does not count is dropped in silence, as a server may send it
/// with every answer. `unix_now` is the time since 1970.
pub(super) fn harvest(
    headers: &mut HeaderMap,
    utilization: Option<&HeaderName>,
    unix_now: impl FnOnce() -> Duration,
) -> Option<Report> {
    let mut report = None;
    if headers.keys().any(is_orca) {
        report = orca::parse_headers(headers, unix_now()).ok();
        let names: Vec<_> = headers.keys().filter(|name| is_orca(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    let told = utilization.and_then(|name| headers.remove(name));
    if report.is_none()
        && let Some(share) = told.and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok())
        && (0.0..=1.0).contains(&share)
    {
        report = Some(Report { utilization: Some(share), ..Report::default() });
    }
    report
}

fn is_orca(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.len() >= ORCA.len() && name.strip_prefix("x-").unwrap_or(name).starts_with(ORCA)
}

/// Whether this is an answer of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether headers or trailers hold a status of gRPC that is the server's fault: deadline exceeded, resource exhausted,
/// internal, unavailable.
pub(super) fn grpc_failed(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| matches!(status.as_bytes(), b"4" | b"8" | b"13" | b"14"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_and_taken_off() {
        let own = HeaderName::from_static("x-server-utilization");
        for (headers, utilization) in [
            (&[("etag", "x")][..], None),
            (&[("endpoint-load-metrics", "TEXT cpu_utilization=0.5")], Some(0.5)),
            (&[("endpoint-load-metrics-json", "{\"cpu_utilization\":0.5}")], Some(0.5)),
            (
                &[("x-endpoint-load-metrics", "cpu_utilization=0.5"), ("x-server-utilization", "0.1")],
                Some(0.5),
            ),
            (&[("endpoint-load-metrics", "garbage"), ("x-server-utilization", "0.1")], Some(0.1)),
            (&[("endpoint-load-metrics", "TEXT cpu_utilization=7")], None),
            (&[("x-server-utilization", " 0.25 ")], Some(0.25)),
            (&[("x-server-utilization", "1.5")], None),
            (&[("x-server-utilization", "NaN")], None),
        ] {
            let mut map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            let report = harvest(&mut map, Some(&own), || Duration::ZERO);
            assert_eq!(report.and_then(|report| report.utilization), utilization, "{headers:?}");
            assert!(map.keys().all(|name| name == "etag"), "{map:?}");
        }
    }

    #[test]
    fn which_statuses_of_grpc_are_the_servers_fault() {
        for (status, failed) in
            [("0", false), ("2", false), ("4", true), ("5", false), ("8", true), ("14", true)]
        {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), status.parse().unwrap())]);
            assert_eq!(grpc_failed(&headers), failed, "{status}");
        }
    }
}
