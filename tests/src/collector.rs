//! A collector of OpenTelemetry's spans: OTLP over HTTP, in protobuf.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::netns::Handle;

/// It, on a port of loopback; ends on drop.
#[derive(Debug)]
pub struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Starts it in the namespace.
    pub fn start(netns: &Handle, port: u16) -> Result<Self> {
        let spans = Arc::default();
        let (netns, shared) = (netns.clone(), Arc::downgrade(&spans));
        let (told, ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let made = netns.enter().and_then(|()| {
                let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            });
            let listener = match made {
                Ok(listener) => listener,
                Err(error) => return told.send(Err(error)).unwrap_or_default(),
            };
            told.send(Ok(())).unwrap_or_default();
            while shared.strong_count() > 0 {
                match listener.accept() {
                    // A message that is none is not kept: the tests look at what is.
                    Ok((stream, _)) => drop(take(stream, &shared)),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        ready.recv().context("the collector's thread ended")??;
        Ok(Self(spans))
    }

    /// Spans that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One message.
fn take(stream: TcpStream, spans: &Weak<Mutex<Vec<Span>>>) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let message = ExportTraceServiceRequest::decode(&body[..])?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let scopes = message.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    if let Some(spans) = spans.upgrade() {
        spans.lock().unwrap_or_else(PoisonError::into_inner).extend(scopes.flat_map(|scope| scope.spans));
    }
    Ok(())
}
