//! hyper behind the inspector, with what is enforced on its heads, as the gateway has it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xdp_lb::gateway::wire::{Bounds, Verdicts, inspect};
use xdp_lb::gateway::{BodyError, Reason, enforce};

/// nginx's defaults: four buffers of 8 KiB, each line in one.
pub(crate) const BOUNDS: Bounds =
    Bounds { headers: 100, header_bytes: 32768, uri_bytes: 8192, header_timeout: Duration::from_millis(200) };

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) statuses: Vec<u16>,
    /// Why the first was refused that was.
    pub(crate) reason: Option<Reason>,
}

/// Sends these bytes, and then nothing more until the last answer is there.
pub(crate) fn answers(bytes: &[u8]) -> Answers {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(exchange(bytes))
}

async fn exchange(bytes: &[u8]) -> Answers {
    let (client, server) = tokio::io::duplex(1 << 20);
    let (stream, verdicts) = inspect(server, BOUNDS);
    let reasons = std::sync::Mutex::new(Vec::new());
    let count = AtomicU64::new(0);
    let service = service_fn(|request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let (verdicts, reasons) = (&verdicts, &reasons);
        async move {
            let refused = judge(verdicts, number, request).await.err();
            let mut response = Response::new(Full::<Bytes>::default());
            if let Some(reason) = refused {
                reasons.lock().unwrap().push(reason);
                *response.status_mut() = reason.status();
            } else {
                *response.status_mut() = StatusCode::OK;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut text = Vec::new();
    let talk = async {
        // After a refusal nobody may be there to read on.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
        reader.read_to_end(&mut text).await.unwrap();
    };
    let (_, ()) = tokio::join!(served, talk);
    let reason = reasons.lock().unwrap().first().copied();
    Answers { statuses: super::statuses(&text), reason }
}

async fn judge(verdicts: &Verdicts, number: u64, request: Request<Incoming>) -> Result<(), Reason> {
    if let Some(refusal) = verdicts.take(number) {
        return Err(refusal.reason);
    }
    verdicts.answered(number, false);
    let (mut head, body) = request.into_parts();
    enforce::check(&head, BOUNDS, xdp_lb::config::gateway::Paths::default())
        .map_err(|refusal| refusal.reason)?;
    enforce::strip_hop_by_hop(&mut head.headers, false).map_err(|fault| fault.reason)?;
    body.collect().await.map_err(|error| BodyError::from(error).reason)?;
    Ok(())
}
