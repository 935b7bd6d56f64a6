//! A service that decides, asked with the request's head.
//!
//! Its 2xx lets a request pass. Its 401 and 403 go to the client as they are, with the challenge or the place to log in;
//! other answers below 500 are a no. Where it cannot say (no connection, no time, 5xx) requests are refused with 503, or
//! pass if the configuration says so.

use http::header::{HOST, LOCATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use super::known::is_https_own;
use super::{Ask, BuildError};
use crate::config::gateway::External;
use crate::gateway::{Body, Exchange, Reason, Refusal};

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(super) struct Externals {
    config: External,
}

impl Externals {
    pub(super) fn new(verifier: &str, config: &External) -> Result<Self, BuildError> {
        let own = config.request_headers.iter().map(|name| ("request_headers", name));
        let own = own.chain(config.response_headers.iter().map(|name| ("response_headers", name)));
        if let Some((key, header)) = own.into_iter().find(|(_, name)| is_https_own(name)) {
            return Err(BuildError::HttpsOwn { verifier: verifier.to_owned(), key, header: header.clone() });
        }
        if !config.prefix.is_empty() && config.prefix.parse::<PathAndQuery>().is_err() {
            return Err(BuildError::Address {
                verifier: verifier.to_owned(),
                key: "prefix",
                value: config.prefix.clone(),
                allowed: "it begins with / and is a path as a request has it, without blanks",
            });
        }
        Ok(Self { config: config.clone() })
    }

    /// Asks, and changes the request's head by the answer.
    pub(super) async fn decide(
        &self,
        exchange: &Exchange,
        head: &mut Parts,
        ask: &dyn Ask,
    ) -> Result<(), Refusal> {
        let question = self.question(exchange, head)?;
        // Whatever the answer is: what a client says in these names is never taken for the service's word.
        super::known::strip(&self.config.response_headers, &mut head.headers);
        let timeout = self.config.timeout;
        let answer = match tokio::time::timeout(timeout, ask.ask(self.config.pool, question, timeout)).await {
            Ok(Ok(answer)) if !answer.status().is_server_error() => answer,
            Ok(Ok(answer)) => return self.undecided(&format!("it answered with {}", answer.status())),
            Ok(Err(refusal)) => {
                let cause = refusal.cause.unwrap_or_default();
                return self.undecided(&format!("{}: {cause}", refusal.reason.word()));
            }
            Err(_) => return self.undecided(&format!("it did not answer within {timeout:?}")),
        };
        if !answer.status().is_success() {
            return Err(refused(&answer));
        }
        for name in &self.config.response_headers {
            for value in answer.headers().get_all(name) {
                head.headers.append(name.clone(), value.clone());
            }
        }
        Ok(())
    }

    fn question(&self, exchange: &Exchange, head: &Parts) -> Result<Request<Body>, Refusal> {
        let internal =
            |cause: &str| Refusal::new(Reason::Internal, "the request cannot be checked").because(cause);
        // As it is, with each `/` and dot: what is allowed has to be what is served. `*` of OPTIONS has no path.
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let below = if target.starts_with('/') { target } else { "/" };
        let path = format!("{}{below}", self.config.prefix.trim_end_matches('/'));
        let mut question = Request::new(Body::empty());
        *question.method_mut() = exchange.method.clone();
        *question.uri_mut() = path.parse().map_err(|_| internal("prefix and path make no path together"))?;
        let headers = question.headers_mut();
        for name in &self.config.request_headers {
            for value in head.headers.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let value =
            |text: &str| HeaderValue::try_from(text).map_err(|_| internal("the head cannot be told on"));
        // These are the gateway's own word, also where a client's of the name was chosen.
        headers.insert(HOST, value(&exchange.host)?);
        headers.insert(FORWARDED_METHOD, value(exchange.method.as_str())?);
        headers.insert(FORWARDED_URI, value(target)?);
        headers.insert(FORWARDED_HOST, value(&exchange.host)?);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(exchange.scheme.as_str()));
        headers.insert(FORWARDED_FOR, value(&exchange.client.to_string())?);
        Ok(question)
    }

    fn undecided(&self, cause: &str) -> Result<(), Refusal> {
        if self.config.fail_open {
            return Ok(());
        }
        let detail = "it cannot be told now whether this request is allowed";
        Err(Refusal::new(Reason::VerifierDown, detail)
            .because(cause)
            .retry_after(std::time::Duration::from_secs(1)))
    }
}

fn refused(answer: &Response<Body>) -> Refusal {
    let status = answer.status();
    let reason =
        if status == StatusCode::UNAUTHORIZED { Reason::Unverified } else { Reason::ExternalRefused };
    let mut refusal = Refusal::new(reason, "this request is not allowed")
        .because(format!("the service answered with {status}"));
    for name in [WWW_AUTHENTICATE, LOCATION] {
        for value in answer.headers().get_all(&name) {
            refusal = refusal.with(name.clone(), value.clone());
        }
    }
    refusal
}
