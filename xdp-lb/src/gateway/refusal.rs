//! Why a request is not served: the words for its sender, for the log and for the metrics.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use super::Body;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What is percent-encoded in a message of gRPC.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// A request that the gateway answers itself, with a problem (RFC 9457).
#[derive(Debug)]
pub struct Refusal {
    /// What it is, for programs.
    pub reason: Reason,
    /// What is wrong with the request, for its sender. Holds nothing secret, and nothing of the inside.
    pub detail: Cow<'static, str>,
    /// What happened, for the log only.
    pub cause: Option<String>,
    /// Each thing that is wrong, where there may be several.
    pub violations: Vec<Violation>,
    /// Further headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the connection is closed after the answer, as what follows on it cannot be told.
    pub closes: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where: `body`, `path`, `query`, `header`, `cookie`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// In a body a JSON pointer (RFC 6901), else the parameter's name.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal $status:ident,)*) => {
        /// Why a request was not served, or not as its sender wished.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in logs and metrics.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The answer's status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }
        }
    };
}

reasons! {
    /// The head is no HTTP: a control character, a line without an end, a name with a blank.
    BadSyntax = "bad_syntax" BAD_REQUEST,
    /// A header line goes on in the next.
    FoldedHeader = "folded_header" BAD_REQUEST,
    /// Host is missing, there twice, not a host, or not the one in the target.
    BadHost = "bad_host" BAD_REQUEST,
    /// Content-Length with Transfer-Encoding, twice, or no number.
    BadLength = "bad_length" BAD_REQUEST,
    /// Transfer-Encoding is other than chunked, or there in HTTP/1.0.
    BadCoding = "bad_coding" BAD_REQUEST,
    /// A chunk's size or end is wrong.
    BadChunk = "bad_chunk" BAD_REQUEST,
    /// The target is not of a form that its method has, or climbs above the root.
    BadTarget = "bad_target" BAD_REQUEST,
    /// A trailer that may not be one.
    BadTrailer = "bad_trailer" BAD_REQUEST,
    /// The body ended early.
    BodyCutShort = "body_cut_short" BAD_REQUEST,
    /// A method that is not passed on: TRACE, CONNECT but for a WebSocket over HTTP/2, or unknown.
    BadMethod = "bad_method" NOT_IMPLEMENTED,
    /// A version other than 1.0, 1.1 or 2.
    BadVersion = "bad_version" HTTP_VERSION_NOT_SUPPORTED,
    /// An expectation other than 100-continue.
    BadExpectation = "bad_expectation" EXPECTATION_FAILED,
    /// More lines or bytes of a head than allowed.
    HeadTooLarge = "head_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE,
    /// A longer target than allowed.
    TargetTooLong = "target_too_long" URI_TOO_LONG,
    /// A longer body than allowed.
    BodyTooLarge = "body_too_large" PAYLOAD_TOO_LARGE,
    /// The head did not come in time.
    SlowHead = "slow_head" REQUEST_TIMEOUT,
    /// The body came too slowly.
    SlowBody = "slow_body" REQUEST_TIMEOUT,
    /// No route is for it.
    NoRoute = "no_route" NOT_FOUND,
    /// A route is for it, with other methods.
    WrongMethod = "wrong_method" METHOD_NOT_ALLOWED,
    /// A header asks for another method than the request's, where the method decides.
    MethodOverride = "method_override" BAD_REQUEST,
    /// The client's address is not allowed.
    AddressRefused = "address_refused" FORBIDDEN,
    /// Who asks did not say who it is, or not truly.
    Unverified = "unverified" UNAUTHORIZED,
    /// Who asks is known, and may not.
    Forbidden = "forbidden" FORBIDDEN,
    /// The service that decides said no.
    ExternalRefused = "external_refused" FORBIDDEN,
    /// Keys or the service that decides cannot be reached.
    VerifierDown = "verifier_down" SERVICE_UNAVAILABLE,
    /// More requests than the limit of rate allows.
    RateLimited = "rate_limited" TOO_MANY_REQUESTS,
    /// The API's description does not allow it.
    ContractBroken = "contract_broken" BAD_REQUEST,
    /// The body is not of a type that the API's description has.
    WrongContentType = "wrong_content_type" UNSUPPORTED_MEDIA_TYPE,
    /// The body is to be changed, and is no JSON.
    NotJson = "not_json" BAD_REQUEST,
    /// A cross-origin preflight that is not allowed.
    CorsRefused = "cors_refused" FORBIDDEN,
    /// The gateway as a whole has too much to do.
    Overloaded = "overloaded" SERVICE_UNAVAILABLE,
    /// The pool has too much to do.
    PoolFull = "pool_full" SERVICE_UNAVAILABLE,
    /// The pool has no server.
    NoServer = "no_server" SERVICE_UNAVAILABLE,
    /// The process is about to end.
    Draining = "draining" SERVICE_UNAVAILABLE,
    /// No connection to a server.
    ConnectFailed = "connect_failed" BAD_GATEWAY,
    /// A server ended the connection before its answer.
    UpstreamClosed = "upstream_closed" BAD_GATEWAY,
    /// A server answered with what is no HTTP.
    UpstreamGarbage = "upstream_garbage" BAD_GATEWAY,
    /// A server's answer is not what the API's description says, or is to be changed and cannot be.
    AnswerRefused = "answer_refused" BAD_GATEWAY,
    /// A WebSocket was asked for over HTTP/2, and what came is an answer that has no form there.
    NotUpgraded = "not_upgraded" BAD_GATEWAY,
    /// A server did not answer in time.
    UpstreamSlow = "upstream_slow" GATEWAY_TIMEOUT,
    /// A server's answer ended early: the status had been sent, the connection was cut.
    AnswerCutShort = "answer_cut_short" BAD_GATEWAY,
    /// The client went away: nobody gets this answer.
    ClientGone = "client_gone" BAD_REQUEST,
    /// The gateway itself failed.
    Internal = "internal" INTERNAL_SERVER_ERROR,
}

impl Refusal {
    /// For this reason, told in these words.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let (detail, cause) = (detail.into(), None);
        Self { reason, detail, cause, violations: Vec::new(), headers: Vec::new(), closes: false }
    }

    /// With what happened, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// With a header of the answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With the time after which another try makes sense, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        self.with(RETRY_AFTER, seconds.max(1).into())
    }

    /// With the connection closed after the answer.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The answer: a problem in JSON, never to be cached.
    pub fn into_response(self, request_id: &str) -> Response<Body> {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: &'a str,
            title: &'a str,
            status: u16,
            detail: &'a str,
            reason: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            violations: &'a [Violation],
        }
        let status = self.reason.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail,
            reason: self.reason.word(),
            request_id,
            violations: &self.violations,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// Refusals as gRPC has its errors: in headers, with the body left out. A client of gRPC reads no problem in JSON, and may
/// take a status of HTTP for leave to ask again.
impl Refusal {
    /// The answer to a call.
    pub fn into_grpc_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, self.reason.grpc_code().into());
        let message = utf8_percent_encode(&self.detail, MESSAGE).to_string();
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert(GRPC_MESSAGE, message);
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

impl Reason {
    /// The code of gRPC that says most of it; else what gRPC makes of the status of HTTP.
    fn grpc_code(self) -> u16 {
        match (self, self.status().as_u16()) {
            // The server may have done it: nobody is told to ask again.
            (Self::UpstreamSlow | Self::AnswerCutShort, _) => 4,
            (Self::BodyTooLarge | Self::HeadTooLarge | Self::RateLimited, _) => 8,
            (Self::ContractBroken | Self::NotJson, _) => 3,
            (_, 400) => 13,
            (_, 401) => 16,
            (_, 403) => 7,
            (_, 404 | 405) => 12,
            (_, 429 | 502..=504) => 14,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|reason| reason.status().as_u16() >= 400));
    }

    #[tokio::test]
    async fn the_answer_tells_the_sender_and_not_the_cause() {
        let mut refusal = Refusal::new(Reason::ContractBroken, "the body is not what the API takes")
            .because("schema 7")
            .retry_after(Duration::from_millis(1500))
            .closing();
        let (pointer, detail) = ("/year".to_owned(), "not a number".to_owned());
        refusal.violations.push(Violation { place: "body", pointer, detail });
        let response = refusal.into_response("abc");
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CONNECTION], "close");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["violations"][0]["in"], "body");
        assert_eq!((&body["reason"], &body["request_id"]), (&"contract_broken".into(), &"abc".into()));
        assert!(!body.to_string().contains("schema 7"));
    }

    #[test]
    fn a_call_gets_its_error_as_grpc_has_it() {
        for (reason, detail, code, message) in [
            (Reason::UpstreamSlow, "late by 100 %", "4", "late by 100 %25"),
            (Reason::PoolFull, "wait\n", "14", "wait%0A"),
            (Reason::Unverified, "who?", "16", "who?"),
            (Reason::NoRoute, "no", "12", "no"),
        ] {
            let response = Refusal::new(reason, detail)
                .because("inside")
                .retry_after(Duration::from_secs(1))
                .into_grpc_response();
            assert_eq!(response.status(), 200);
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], "application/grpc");
            assert_eq!(
                (&headers[GRPC_STATUS], &headers[GRPC_MESSAGE]),
                (&code.parse().unwrap(), &message.parse().unwrap())
            );
            assert_eq!(headers[RETRY_AFTER], "1");
            assert!(response.body().is_empty());
        }
    }
}
