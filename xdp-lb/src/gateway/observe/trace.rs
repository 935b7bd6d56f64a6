//! Requests as spans of OpenTelemetry, kept until they are exported.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::clock::unix_nanos;
use super::encryption::Encryption;
use super::line::Told;
use crate::config::gateway::Trace;
use crate::gateway::TraceContext;
use crate::gateway::upstream::ConnectorError;

/// Spans that wait to be exported; further ones are lost and counted.
const MOST_WAITING: usize = 8192;

/// Keeps spans.
#[derive(Debug)]
pub struct Tracer {
    config: Trace,
    tls: Option<Encryption>,
    queue: Arc<Queue>,
}

/// What outlives a reload.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<VecDeque<Span>>,
    lost: AtomicU64,
}

impl Tracer {
    /// By this configuration; reads the files that it names. What waits is taken over from one by the same.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn build(config: &Trace, before: Option<&Self>) -> Result<Self, ConnectorError> {
        let tls = config.tls.as_ref().map(|tls| Encryption::build(tls, &config.endpoint)).transpose()?;
        let same = before.filter(|before| before.config == *config);
        let queue = same.map(|before| Arc::clone(&before.queue)).unwrap_or_default();
        Ok(Self { config: config.clone(), tls, queue })
    }

    /// The context of a new request: `named`, where its sender names one, whose decision it follows. `chance` is from 0 to
    /// 1, `ids` are random.
    pub fn context(&self, named: Option<TraceContext>, chance: f64, ids: (u128, u64)) -> TraceContext {
        // Neither may be zero, by the standard.
        let (trace, span) = (ids.0.max(1), ids.1.max(1));
        match named {
            Some(named) => TraceContext { span, ..named },
            None => TraceContext { trace, parent: None, span, sampled: chance < self.config.sample.get() },
        }
    }

    /// Takes a request that is over, if it is traced.
    pub(super) fn finished(&self, told: &Told<'_>) {
        let Some(context) = told.exchange.trace.filter(|trace| trace.sampled) else { return };
        let span = span(told, context);
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST_WAITING {
            self.queue.lost.fetch_add(1, Relaxed);
        } else {
            waiting.push_back(span);
        }
    }

    /// How they are encrypted.
    pub(super) fn tls(&self) -> Option<&Encryption> {
        self.tls.as_ref()
    }

    /// Where they go.
    pub(super) fn endpoint(&self) -> &http::Uri {
        &self.config.endpoint
    }

    /// Up to `most` spans, as they are sent; `None` if none waits.
    pub(super) fn take(&self, most: usize) -> Option<ExportTraceServiceRequest> {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(most);
        let spans: Vec<Span> = waiting.drain(..count).collect();
        drop(waiting);
        (!spans.is_empty()).then(|| request(spans, &self.config.service))
    }

    /// Spans that nobody took in time.
    pub(super) fn lost(&self) -> u64 {
        self.queue.lost.load(Relaxed)
    }

    /// Counts spans that the collector did not take.
    pub(super) fn lose(&self, spans: usize) {
        self.queue.lost.fetch_add(spans as u64, Relaxed);
    }
}

fn request(spans: Vec<Span>, service: &str) -> ExportTraceServiceRequest {
    let attributes = vec![text("service.name", service), text("service.version", env!("CARGO_PKG_VERSION"))];
    let scope = InstrumentationScope { name: "xdp-lb".into(), ..InstrumentationScope::default() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    let resource = Resource { attributes, ..Resource::default() };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

/// Names are those of OpenTelemetry's semantic conventions for HTTP servers, 1.27.
fn span(told: &Told<'_>, context: TraceContext) -> Span {
    let exchange = told.exchange;
    let start = unix_nanos(exchange.wall);
    let took = u64::try_from(told.took.as_nanos()).unwrap_or(u64::MAX);
    let mut attributes = vec![
        text("http.request.method", exchange.method.as_str()),
        text("url.scheme", exchange.scheme.as_str()),
        text("url.path", &*exchange.path),
        text("server.address", &*exchange.host),
        text("client.address", exchange.client.to_string()),
        text(
            "network.protocol.version",
            match exchange.version {
                http::Version::HTTP_10 => "1.0",
                http::Version::HTTP_2 => "2",
                _ => "1.1",
            },
        ),
        number("http.response.status_code", i64::from(exchange.status)),
        text("xdp_lb.request_id", exchange.id.as_str()),
    ];
    attributes.extend(told.route.map(|route| text("xdp_lb.route", route)));
    attributes.extend(told.pool.map(|pool| text("xdp_lb.pool", pool)));
    attributes.extend(exchange.server.as_deref().map(|server| text("xdp_lb.server", server)));
    attributes.extend(exchange.upstream.map(|upstream| number("xdp_lb.upstream_us", microseconds(upstream))));
    attributes.extend(
        (exchange.tries > 1).then(|| number("http.request.resend_count", i64::from(exchange.tries) - 1)),
    );
    attributes.extend(exchange.reason.map(|reason| text("error.type", reason.word())));
    let failed = exchange.status >= 500;
    let message = exchange.reason.filter(|_| failed).map_or("", crate::gateway::Reason::word).to_owned();
    Span {
        trace_id: context.trace.to_be_bytes().to_vec(),
        span_id: context.span.to_be_bytes().to_vec(),
        parent_span_id: context.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(context.sampled),
        name: match told.route {
            Some(route) => format!("{} {route}", exchange.method),
            None => exchange.method.to_string(),
        },
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        attributes,
        status: failed.then(|| Status { message, code: StatusCode::Error.into() }),
        ..Span::default()
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ratio;
    use crate::gateway::Reason;
    use crate::gateway::exchange::tests::exchange;

    fn tracer(thousandths: u32) -> Tracer {
        let config = Trace {
            endpoint: "http://127.0.0.1:4318".parse().unwrap(),
            sample: Ratio::thousandths(thousandths),
            service: "edge".into(),
            tls: None,
        };
        Tracer::build(&config, None).unwrap()
    }

    #[test]
    fn a_request_follows_its_callers_decision_and_else_the_share() {
        let named = |sampled| Some(TraceContext { trace: 7, parent: Some(1), span: 5, sampled });
        let rows = [
            (named(true), 0, 0.9, TraceContext { trace: 7, parent: Some(1), span: 5, sampled: true }),
            (named(false), 1000, 0.0, TraceContext { trace: 7, parent: Some(1), span: 5, sampled: false }),
            (None, 250, 0.24, TraceContext { trace: 3, parent: None, span: 5, sampled: true }),
            (None, 250, 0.25, TraceContext { trace: 3, parent: None, span: 5, sampled: false }),
        ];
        for (named, share, chance, expected) in rows {
            assert_eq!(tracer(share).context(named, chance, (3, 5)), expected);
        }
        let context = tracer(0).context(None, 0.5, (0, 0));
        assert!(context.trace != 0 && context.span != 0, "zero is no ID");
    }

    #[test]
    fn spans_tell_what_the_log_tells_and_wait_within_bounds() {
        let tracer = tracer(1000);
        let mut exchange = exchange();
        exchange.status = 504;
        exchange.tries = 2;
        exchange.reason = Some(Reason::UpstreamSlow);
        exchange.trace = Some(TraceContext { trace: 0xabc, parent: Some(0xdef), span: 9, sampled: true });
        let told =
            Told { exchange: &exchange, route: Some("movies"), pool: None, took: Duration::from_millis(3) };
        for _ in 0..MOST_WAITING + 3 {
            tracer.finished(&told);
        }
        assert_eq!(tracer.lost(), 3);
        let request = tracer.take(1).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        assert_eq!(spans.len(), 1);
        let span = &spans[0];
        assert_eq!(span.trace_id, 0xabc_u128.to_be_bytes());
        assert_eq!(span.parent_span_id, 0xdef_u64.to_be_bytes());
        assert_eq!((span.name.as_str(), span.end_time_unix_nano), ("GET movies", 3_000_000));
        assert_eq!(span.status.as_ref().unwrap().message, "upstream_slow");
        assert!(span.attributes.contains(&number("http.request.resend_count", 1)));
        tracer.take(MOST_WAITING).unwrap();
        assert_eq!(tracer.take(1), None);
    }
}
