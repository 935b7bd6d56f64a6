use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

use http::HeaderMap;
use serde_json::Value;

use crate::config::gateway::{RateKey, Verifier, VerifierKind};
use crate::gateway::Exchange;
use crate::gateway::verify::claim;

/// When a limit is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before credentials are looked at: limits by route, address and header.
    Before,
    /// When it is known who asks: limits by API key and claim.
    After,
}

impl Phase {
    pub(super) fn of(key: &RateKey) -> Self {
        match key {
            RateKey::Route | RateKey::Address | RateKey::Header(_) => Self::Before,
            RateKey::ApiKey | RateKey::Claim(_) => Self::After,
        }
    }
}

/// Makes 64 bits of whatever requests are counted by. They are keyed: nobody outside can make two keys meet, and among a
/// million keys two meet by chance once in forty million tries.
pub(super) struct Keys {
    hasher: RandomState,
    /// Of the routes' names.
    routes: Vec<u64>,
    /// Whether each verifier is one of API keys.
    api_keys: Vec<bool>,
}

/// What a key is made of. The kind keeps a header's value apart from an address.
#[derive(Hash)]
enum Source<'a> {
    Route(&'a str),
    V4([u8; 4]),
    V6Net([u8; 8]),
    ApiKey(&'a str, &'a str),
    Claim(&'a str),
    ClaimJson(String),
    Header(&'a [u8]),
}

impl Keys {
    pub(super) fn new<'a>(
        routes: impl IntoIterator<Item = &'a str>,
        verifiers: &[Verifier],
        before: Option<&Self>,
    ) -> Self {
        let hasher = before.map_or_else(RandomState::new, |before| before.hasher.clone());
        let routes = routes.into_iter().map(|route| hasher.hash_one(Source::Route(route))).collect();
        let api_keys =
            verifiers.iter().map(|verifier| matches!(verifier.kind, VerifierKind::ApiKey { .. })).collect();
        Self { hasher, routes, api_keys }
    }

    pub(super) fn hash(&self, key: &RateKey, route: usize, exchange: &Exchange, headers: &HeaderMap) -> u64 {
        let source = match key {
            // One that is not there is none of ours: it shares with its like.
            RateKey::Route => return self.routes.get(route).copied().unwrap_or_default(),
            RateKey::Address => address(exchange.client),
            RateKey::Header(name) => match headers.get(name) {
                Some(value) => Source::Header(value.as_bytes()),
                None => address(exchange.client),
            },
            RateKey::ApiKey => match &exchange.identity {
                Some(identity) if self.api_keys.get(identity.verifier) == Some(&true) => {
                    Source::ApiKey(&identity.verifier_name, &identity.subject)
                }
                _ => address(exchange.client),
            },
            RateKey::Claim(name) => {
                match exchange.identity.as_ref().and_then(|identity| claim(&identity.claims, name)) {
                    None | Some(Value::Null) => address(exchange.client),
                    Some(Value::String(string)) => Source::Claim(string),
                    Some(other) => Source::ClaimJson(other.to_string()),
                }
            }
        };
        self.hasher.hash_one(source)
    }
}

/// An address; of IPv6 the /64, which one client has whole.
fn address(address: IpAddr) -> Source<'static> {
    match address.to_canonical() {
        IpAddr::V4(address) => Source::V4(address.octets()),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            Source::V6Net([a, b, c, d, e, f, g, h])
        }
    }
}
