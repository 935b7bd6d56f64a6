use std::net::SocketAddr;
use std::path::PathBuf;

use super::UpstreamTls;
use crate::config::live::Ratio;

/// `[admin]` of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayAdmin {
    /// Where `/metrics`, `/healthz`, `/readyz` and `/status` are answered.
    pub listen: SocketAddr,
}

/// `[log]`: one line for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessLog {
    /// How a line is written.
    pub format: LogFormat,
    /// File that lines are appended to, opened anew on SIGHUP; `None`: standard output.
    pub path: Option<PathBuf>,
    /// Share of successful requests that are logged; failures always are.
    pub sample: Ratio,
    /// Headers of requests that are logged, in lower case; never those that hold secrets.
    pub headers: Vec<http::HeaderName>,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// The "combined" format of Apache and nginx.
    Combined,
    /// No line.
    Off,
}

/// `[trace]`: OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// Collector that takes OTLP over HTTP, `http://host:4318` or by https; spans go to `/v1/traces` below it.
    pub endpoint: http::Uri,
    /// Share of requests without a decision of their caller that are traced.
    pub sample: Ratio,
    /// `service.name`.
    pub service: String,
    /// How TLS is spoken with it; `None` exactly where it is not.
    pub tls: Option<UpstreamTls>,
}
