use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};

use crate::config::gateway::RateLimit;
use crate::gateway::Refusal;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a client is told of its limit, in the headers of draft-ietf-httpapi-ratelimit-headers-06: the last draft with one
/// header for each number, which is what clients know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateAnswer {
    pub(super) policy: HeaderValue,
    /// Requests at once after a quiet time.
    pub limit: u32,
    /// Requests that are still allowed at once.
    pub remaining: u32,
    /// Seconds until all are allowed again, or, where none is left, until one is.
    pub reset: u64,
}

impl RateAnswer {
    /// Puts the headers on an answer, in place of those that a server may have set.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
    }

    /// The one of two that leaves less, as of the two phases.
    #[must_use]
    pub fn or_tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other)
                if (other.remaining, u64::MAX - other.reset) < (self.remaining, u64::MAX - self.reset) =>
            {
                other
            }
            _ => self,
        }
    }

    pub(super) fn on_refusal(self, refusal: Refusal) -> Refusal {
        self.headers().into_iter().fold(refusal, |refusal, (name, value)| refusal.with(name, value))
    }

    fn headers(self) -> [(HeaderName, HeaderValue); 4] {
        [
            (LIMIT, self.limit.into()),
            (REMAINING, self.remaining.into()),
            (RESET, self.reset.into()),
            (POLICY, self.policy),
        ]
    }
}

/// `100;w=60;burst=20`: requests, seconds, and how many at once.
pub(super) fn policy(limit: &RateLimit) -> HeaderValue {
    let window = limit.period.as_secs() + u64::from(limit.period.subsec_nanos() > 0);
    let policy = format!("{};w={window};burst={}", limit.requests, limit.burst);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("0"))
}
