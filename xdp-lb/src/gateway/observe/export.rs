//! Sends spans to a collector: OTLP over HTTP, in protobuf.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::trace::Tracer;

/// Between two looks at what waits.
const INTERVAL: Duration = Duration::from_secs(1);

/// Spans of one message.
const BATCH: usize = 512;

/// How long the collector may take for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends for ever. What the collector does not take is lost and counted: tracing never holds up serving.
pub async fn run(tracer: Arc<Tracer>) {
    let mut failing = false;
    loop {
        sleep(INTERVAL).await;
        flush(&tracer, &mut failing).await;
    }
}

/// Sends all that waits.
pub async fn flush(tracer: &Tracer, failing: &mut bool) {
    while let Some(message) = tracer.take(BATCH) {
        let spans: usize =
            message.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|scope| scope.spans.len()).sum();
        // They are lost as well where this is ended meanwhile, by a reload.
        let mut batch = Batch { tracer, spans };
        let sent = timeout(PATIENCE, send(tracer, message.encode_to_vec())).await;
        if matches!(sent, Ok(Ok(()))) {
            batch.spans = 0;
        }
        let outcome = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        match outcome {
            Ok(()) if *failing => tracing::info!("the collector at trace.endpoint takes spans again"),
            Ok(()) => {}
            Err(reason) => {
                if !*failing {
                    tracing::warn!(
                        "spans are lost: trace.endpoint = \"{}\" does not take them: {reason}",
                        tracer.endpoint()
                    );
                }
                *failing = true;
                return;
            }
        }
        *failing = false;
    }
}

/// Spans that nobody has taken yet. Dropped so, they are lost.
struct Batch<'a> {
    tracer: &'a Tracer,
    spans: usize,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.tracer.lose(self.spans);
    }
}

async fn send(tracer: &Tracer, body: Vec<u8>) -> Result<(), String> {
    let endpoint = tracer.endpoint();
    let authority = endpoint.authority().ok_or("it has no host")?;
    let port = authority.port_u16().unwrap_or(if tracer.tls().is_some() { 443 } else { 80 });
    // Brackets are the URI's.
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port)).await.map_err(|e| e.to_string())?;
    match tracer.tls() {
        None => post(stream, endpoint, authority, body).await,
        Some(tls) => post(tls.connect(stream).await?, endpoint, authority, body).await,
    }
}

async fn post(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    endpoint: &Uri,
    authority: &Authority,
    body: Vec<u8>,
) -> Result<(), String> {
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
    let host = HeaderValue::from_str(authority.as_str()).map_err(|e| e.to_string())?;
    let request = Request::post(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| e.to_string())?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err("it answers 404: leave /v1/traces out of the endpoint".to_owned()),
            status => Err(format!("it answers {status}")),
        }
    };
    tokio::select! {
        // The answer comes by way of the connection, which therefore never ends first in good order.
        biased;
        outcome = exchange => outcome,
        ended = connection => Err(match ended {
            Ok(()) => "it closed the connection".to_owned(),
            Err(e) => e.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http_body_util::BodyExt as _;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Response, server};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use tokio::net::TcpListener;

    use super::super::line::Told;
    use super::*;
    use crate::config::Ratio;
    use crate::config::gateway::{Trace, UpstreamTls};
    use crate::gateway::TraceContext;
    use crate::gateway::exchange::tests::exchange;

    fn trace_one(tracer: &Tracer) {
        let mut exchange = exchange();
        exchange.trace = Some(TraceContext { trace: 1, parent: None, span: 2, sampled: true });
        tracer.finished(&Told { exchange: &exchange, route: None, pool: None, took: Duration::ZERO });
    }

    #[tokio::test]
    async fn a_collector_gets_messages_that_it_can_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&got);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request: Request<Incoming>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        assert_eq!(request.uri().path(), "/otel/v1/traces");
                        let body = request.into_body().collect().await?.to_bytes();
                        seen.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
                        Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                    }
                });
                tokio::spawn(
                    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        let endpoint: Uri = format!("http://{address}/otel/").parse().unwrap();
        let config = Trace { endpoint, sample: Ratio::thousandths(1000), service: "edge".into(), tls: None };
        let tracer = Tracer::build(&config, None).unwrap();
        (0..BATCH + 1).for_each(|_| trace_one(&tracer));
        flush(&tracer, &mut false).await;
        let got = got.lock().unwrap();
        let sizes: Vec<_> =
            got.iter().map(|message| message.resource_spans[0].scope_spans[0].spans.len()).collect();
        assert_eq!(sizes, [BATCH, 1]);
        assert_eq!(tracer.lost(), 0);
    }

    #[tokio::test]
    async fn spans_under_way_are_counted_when_it_is_ended() {
        let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: Uri = format!("http://{}", deaf.local_addr().unwrap()).parse().unwrap();
        let config = Trace { endpoint, sample: Ratio::thousandths(1000), service: "edge".into(), tls: None };
        let tracer = Tracer::build(&config, None).unwrap();
        trace_one(&tracer);
        let mut failing = false;
        tokio::select! {
            () = flush(&tracer, &mut failing) => panic!("nobody answers"),
            accepted = deaf.accept() => drop(accepted.unwrap()),
        }
        assert_eq!((tracer.take(BATCH).is_none(), tracer.lost()), (true, 1));
    }

    #[tokio::test]
    async fn spans_are_lost_and_counted_while_nobody_takes_them() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint: Uri = format!("http://{closed}").parse().unwrap();
        let config = Trace { endpoint, sample: Ratio::thousandths(1000), service: "edge".into(), tls: None };
        let tracer = Tracer::build(&config, None).unwrap();
        trace_one(&tracer);
        let mut failing = false;
        flush(&tracer, &mut failing).await;
        assert_eq!((tracer.lost(), failing), (1, true));
    }

    #[tokio::test]
    async fn a_collector_by_tls_is_verified_and_gets_the_spans() {
        let authority = || {
            let mut params = rcgen::CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, other) = (authority(), authority());
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["traces.internal".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ours).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: Uri = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let service = service_fn(|request: Request<Incoming>| async move {
                    assert_eq!(request.uri().path(), "/v1/traces");
                    request.into_body().collect().await?;
                    Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                });
                tokio::spawn(
                    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("ours.pem"), folder.path().join("other.pem"));
        std::fs::write(&good, ours.pem()).unwrap();
        std::fs::write(&bad, other.pem()).unwrap();
        let named = Some("traces.internal".to_owned());
        for (what, server_name, ca, verify, lost) in [
            ("its authority and name", named.clone(), Some(good.clone()), true, 0),
            ("another authority", named.clone(), Some(bad), true, 1),
            ("the endpoint's host, which the certificate has not", None, Some(good), true, 1),
            ("the machine's authorities", named, None, true, 1),
            ("not verified", None, None, false, 0),
        ] {
            let tls = Some(UpstreamTls { server_name, verify, ca, certificate: None });
            let (endpoint, service) = (endpoint.clone(), "edge".into());
            let config = Trace { endpoint, sample: Ratio::thousandths(1000), service, tls };
            let tracer = Tracer::build(&config, None).unwrap();
            trace_one(&tracer);
            // What waits outlives a reload by the same configuration.
            let tracer = Tracer::build(&config, Some(&tracer)).unwrap();
            let mut failing = false;
            flush(&tracer, &mut failing).await;
            assert_eq!((tracer.take(BATCH).is_none(), tracer.lost()), (true, lost), "{what}");
        }
    }

    #[test]
    fn an_authority_that_is_not_there_is_told_of() {
        let tls = UpstreamTls {
            server_name: None,
            verify: true,
            ca: Some("/none/ca.pem".into()),
            certificate: None,
        };
        let endpoint = "https://a:4318".parse().unwrap();
        let config =
            Trace { endpoint, sample: Ratio::thousandths(1000), service: "edge".into(), tls: Some(tls) };
        let error = Tracer::build(&config, None).unwrap_err().to_string();
        assert!(error.starts_with("[trace]: tls.ca: /none/ca.pem: "), "{error}");
    }
}
