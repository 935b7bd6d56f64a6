//! The messages as protobuf has them, written down by hand: no compiler of `.proto` files is needed to build.

use std::collections::BTreeMap;

use prost::Message as _;

use super::{Metrics, too_long};
use crate::control::{NoReport, NoReportKind};
use crate::utilization::MOST_BYTES;
use crate::utilization::refuse::no;

/// `xds.data.orca.v3.OrcaLoadReport`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OrcaLoadReport {
    #[prost(double, tag = "1")]
    pub(crate) cpu_utilization: f64,
    #[prost(double, tag = "2")]
    pub(crate) mem_utilization: f64,
    #[prost(uint64, tag = "3")]
    pub(crate) rps: u64,
    #[prost(btree_map = "string, double", tag = "4")]
    pub(crate) request_cost: BTreeMap<String, f64>,
    #[prost(btree_map = "string, double", tag = "5")]
    pub(crate) utilization: BTreeMap<String, f64>,
    #[prost(double, tag = "6")]
    pub(crate) rps_fractional: f64,
    #[prost(double, tag = "7")]
    pub(crate) eps: f64,
    #[prost(btree_map = "string, double", tag = "8")]
    pub(crate) named_metrics: BTreeMap<String, f64>,
    #[prost(double, tag = "9")]
    pub(crate) application_utilization: f64,
}

/// The same as it came in: in protobuf the last of several values of a field would hide the others, so all are kept.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Received {
    #[prost(double, repeated, packed = "false", tag = "1")]
    cpu_utilization: Vec<f64>,
    #[prost(double, repeated, packed = "false", tag = "2")]
    mem_utilization: Vec<f64>,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    rps: Vec<u64>,
    #[prost(message, repeated, tag = "4")]
    request_cost: Vec<Entry>,
    #[prost(message, repeated, tag = "5")]
    utilization: Vec<Entry>,
    #[prost(double, repeated, packed = "false", tag = "6")]
    rps_fractional: Vec<f64>,
    #[prost(double, repeated, packed = "false", tag = "7")]
    eps: Vec<f64>,
    #[prost(message, repeated, tag = "8")]
    named_metrics: Vec<Entry>,
    #[prost(double, repeated, packed = "false", tag = "9")]
    application_utilization: Vec<f64>,
}

/// An entry of a map, as protobuf writes it.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(double, tag = "2")]
    value: f64,
}

/// `xds.service.orca.v3.OrcaLoadReportRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OrcaLoadReportRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) report_interval: Option<Interval>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) request_cost_names: Vec<String>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Interval {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// Decodes a report.
pub(super) fn read(bytes: &[u8]) -> Result<Metrics, NoReport> {
    if bytes.len() > MOST_BYTES {
        return Err(too_long(bytes.len()));
    }
    match Received::decode(bytes) {
        Ok(message) => metrics(&message),
        Err(error) => Err(no(NoReportKind::Garbage, format!("not an OrcaLoadReport: {error}"))),
    }
}

/// The numbers of a message. A number that is 0 was not reported, as far as protobuf can tell.
pub(super) fn metrics(message: &Received) -> Result<Metrics, NoReport> {
    let mut metrics = Metrics::default();
    let rps: Vec<f64> = message.rps.iter().map(|rate| *rate as f64).collect();
    for (name, values) in [
        ("cpu_utilization", &message.cpu_utilization),
        ("mem_utilization", &message.mem_utilization),
        ("rps", &rps),
        ("rps_fractional", &message.rps_fractional),
        ("eps", &message.eps),
        ("application_utilization", &message.application_utilization),
    ] {
        for value in values.iter().filter(|value| **value != 0.0) {
            metrics.field(name, *value)?;
        }
    }
    for (map, entries) in [
        ("request_cost", &message.request_cost),
        ("utilization", &message.utilization),
        ("named_metrics", &message.named_metrics),
    ] {
        for Entry { key, value } in entries {
            metrics.entry(map, key, *value)?;
        }
    }
    Ok(metrics)
}
