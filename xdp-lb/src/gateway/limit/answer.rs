use std::sync::LazyLock;

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
            (LIMIT, number(self.limit.into())),
            (REMAINING, number(self.remaining.into())),
            (RESET, number(self.reset)),
            (POLICY, self.policy),
        ]
    }
}

/// A number as a header's value. Those that are frequent are written once, for as long as the process runs: each answer
/// has three of them.
fn number(number: u64) -> HeaderValue {
    static WRITTEN: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
        let text: &'static str = (0..1000).map(|number| format!("{number:<3}")).collect::<String>().leak();
        let chunks = (0..1000).map(|number| text.get(3 * number..3 * number + 3).unwrap_or_default());
        chunks.map(|chunk| HeaderValue::from_static(chunk.trim_end())).collect()
    });
    let written = usize::try_from(number).ok().and_then(|number| WRITTEN.get(number));
    written.cloned().unwrap_or_else(|| number.into())
}

/// `100;w=60;burst=20`: requests, seconds, and how many at once.
pub(super) fn policy(limit: &RateLimit) -> HeaderValue {
    let window = limit.period.as_secs() + u64::from(limit.period.subsec_nanos() > 0);
    let policy = format!("{};w={window};burst={}", limit.requests, limit.burst);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written() {
        for (given, told) in
            [(0, "0"), (7, "7"), (10, "10"), (999, "999"), (1000, "1000"), (u64::MAX, "18446744073709551615")]
        {
            assert_eq!(number(given), told);
        }
    }
}
