//! Keys that are fetched: by one task, at intervals and when a token names an unknown key. Requests wait for that task and
//! never fetch by themselves, so that a flood of unknown keys makes one request to the issuer, and clients that go away
//! end no fetch.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ACCEPT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use ring::digest::{SHA256, digest};
use tokio::sync::{Notify, watch};

use super::keys::KeySet;
use crate::gateway::Body;
use crate::gateway::verify::slot::Slot;
use crate::gateway::verify::{Ask, BuildError};

/// Bytes of a set at most.
const MOST_BYTES: u64 = 1 << 20;
/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Fetched {
    pub(super) slot: Slot<KeySet>,
    path: String,
    host: String,
    target: (Uri, HeaderValue),
    refresh: Duration,
    least: Duration,
    last: Mutex<Last>,
    wanted: Notify,
    /// Fetches that are over.
    done: watch::Sender<u64>,
}

/// The last fetch.
#[derive(Default)]
struct Last {
    begun: Option<Instant>,
    under_way: bool,
    /// SHA-256 of the set that is in use.
    set: Option<[u8; 32]>,
}

impl Fetched {
    pub(super) fn new(
        verifier: &str,
        path: &str,
        host: &str,
        refresh: Duration,
        least: Duration,
    ) -> Result<Self, BuildError> {
        let wrong = |key, value: &str, allowed| BuildError::Address {
            verifier: verifier.to_owned(),
            key,
            value: value.to_owned(),
            allowed,
        };
        let uri = path.parse::<PathAndQuery>().ok().filter(|_| path.starts_with('/')).map(Uri::from);
        let uri =
            uri.ok_or_else(|| wrong("path", path, "it begins with / and is a path as a request has it"))?;
        let name = HeaderValue::try_from(host).ok().filter(|_| !host.is_empty());
        let name =
            name.ok_or_else(|| wrong("host", host, "a host, with a port where it is not the scheme's"))?;
        Ok(Self {
            slot: Slot::empty(),
            path: path.to_owned(),
            host: host.to_owned(),
            target: (uri, name),
            refresh,
            least,
            last: Mutex::default(),
            wanted: Notify::new(),
            done: watch::Sender::new(0),
        })
    }

    pub(super) fn is_from(&self, path: &str, host: &str, refresh: Duration, least: Duration) -> bool {
        (&*self.path, &*self.host, self.refresh, self.least) == (path, host, refresh, least)
    }

    /// Waits until a fetch is over, or does nothing where none is due: the last one was less than the least time ago.
    pub(super) async fn wait(&self, now: Instant, most: Duration) {
        let mut done = self.done.subscribe();
        {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if !last.under_way {
                if last.begun.is_some_and(|begun| now < begun + self.least) {
                    return;
                }
                self.wanted.notify_one();
            }
        }
        // Without an answer in time the caller goes by the keys there are.
        let _ = tokio::time::timeout(most, done.changed()).await;
    }

    /// Fetches for ever. Keys that are there stay when a fetch fails.
    pub(super) async fn run(&self, verifier: &str, pool: usize, ask: &dyn Ask) {
        // A predecessor may have fetched just now: what it fetched is still good.
        let mut failures = u32::from(self.slot.number() == 0);
        let mut complained = false;
        loop {
            let begun = self.last.lock().unwrap_or_else(PoisonError::into_inner).begun;
            if let Some(begun) = begun {
                let again = if failures == 0 { self.refresh } else { self.after_failures(failures) };
                let sleep = |time: Duration| tokio::time::sleep_until((begun + time).into());
                tokio::select! {
                    () = sleep(again) => {}
                    () = self.wanted.notified() => sleep(self.least.min(again)).await,
                }
            }
            let under_way = UnderWay::begin(self, tokio::time::Instant::now().into_std());
            // This fetch is for all who asked until now; further ones wait for it without asking.
            let _ = self.wanted.notified().now_or_never();
            let result = self.fetch(pool, ask).await.and_then(|set| self.take(&set));
            drop(under_way);
            match result {
                Ok(changed) => {
                    if std::mem::take(&mut complained) || changed {
                        tracing::info!(verifier, changed, "keys of tokens were fetched");
                    }
                    failures = 0;
                }
                Err(cause) => {
                    if !std::mem::replace(&mut complained, true) {
                        let keys =
                            if self.slot.number() == 0 { "there are none" } else { "the old ones stay" };
                        tracing::warn!(
                            verifier,
                            host = self.host,
                            cause,
                            keys,
                            "keys of tokens cannot be fetched"
                        );
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Twice as long after each failure, up to the interval of successes.
    fn after_failures(&self, failures: u32) -> Duration {
        let doubled = self.least.saturating_mul(1 << (failures - 1).min(16));
        doubled.clamp(Duration::from_millis(10), self.refresh.max(self.least))
    }

    async fn fetch(&self, pool: usize, ask: &dyn Ask) -> Result<Bytes, String> {
        let mut request = Request::new(Body::empty());
        let (uri, host) = self.target.clone();
        *request.uri_mut() = uri;
        request.headers_mut().insert(HOST, host);
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        let fetch = async {
            let answer = ask.ask(pool, request, TIMEOUT).await.map_err(|refusal| {
                format!("{}: {}", refusal.reason.word(), refusal.cause.unwrap_or_default())
            })?;
            if answer.status() != StatusCode::OK {
                return Err(format!("the answer is {}", answer.status()));
            }
            let body = answer.into_body().limited(MOST_BYTES).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| format!("the answer: {error}"))
        };
        match tokio::time::timeout(TIMEOUT, fetch).await {
            Ok(result) => result,
            Err(_) => Err(format!("there was no answer within {TIMEOUT:?}")),
        }
    }

    /// Uses a set, and says whether it is another than before: the same one leaves what was verified with it valid.
    fn take(&self, set: &[u8]) -> Result<bool, String> {
        let hash: [u8; 32] = digest(&SHA256, set).as_ref().try_into().unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.set == Some(hash) {
            return Ok(false);
        }
        self.slot.set(KeySet::parse(set).map_err(|mistake| format!("the set {}", mistake.what))?);
        last.set = Some(hash);
        Ok(true)
    }
}

/// A fetch under way. Over when it is dropped, also with its task.
struct UnderWay<'a>(&'a Fetched);

impl<'a> UnderWay<'a> {
    fn begin(fetched: &'a Fetched, now: Instant) -> Self {
        let mut last = fetched.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.begun, last.under_way) = (Some(now), true);
        Self(fetched)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).under_way = false;
        self.0.done.send_modify(|done| *done += 1);
    }
}
