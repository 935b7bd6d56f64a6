//! Cross-origin requests, by the Fetch standard (section 3.3): who may ask from a script, and read the answer.
//!
//! A route with a policy has it from the gateway alone: what the server says of it is taken off.

use std::fmt::Display;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::config::gateway::{Cors, Origin, Origins};
use crate::gateway::{Body, Reason, Refusal};

/// The method that the request asks about, if it is a preflight.
pub fn preflight_method(head: &Parts) -> Option<&[u8]> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    head.headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes)
}

/// The origin that asks; to be kept for [`Policy::decorate`] before the request is passed on. More than one is none.
pub fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none()).cloned()
}

/// A route's policy, its answers prepared.
#[derive(Clone, Debug)]
pub struct Policy {
    origins: Origins,
    credentials: bool,
    methods: Vec<Method>,
    headers: Vec<HeaderName>,
    /// `*` was listed among methods, headers, which is any for requests without credentials.
    any_method: bool,
    any_header: bool,
    allow_methods: Option<HeaderValue>,
    allow_headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: HeaderValue,
}

impl Policy {
    /// As configured.
    pub fn new(cors: &Cors) -> Self {
        // With any origin, credentials would give every page what the user may see.
        let credentials = cors.credentials && cors.origins != Origins::Any;
        Self {
            origins: cors.origins.clone(),
            credentials,
            methods: cors.methods.clone(),
            headers: cors.headers.clone(),
            any_method: !credentials && cors.methods.iter().any(|method| method.as_str() == "*"),
            any_header: !credentials && cors.headers.iter().any(|header| header == "*"),
            allow_methods: joined(&cors.methods),
            allow_headers: joined(&cors.headers),
            expose: joined(&cors.expose),
            max_age: cors.max_age.as_secs().into(),
        }
    }

    /// The answer to a preflight, see [`preflight_method`].
    pub fn preflight(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        let origin = origin(&head.headers);
        let method = preflight_method(head).unwrap_or_default();
        if !origin.as_ref().is_some_and(|origin| self.allows(origin)) {
            return Err(refused("this origin may not ask"));
        }
        if !self.any_method && !self.methods.iter().any(|one| one.as_str().as_bytes() == method) {
            return Err(refused("this origin may not use that method"));
        }
        let lists = head.headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let mut names = lists.flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
        if !names.all(|name| self.allows_header(name.trim_ascii())) {
            return Err(refused("this origin may not send one of those headers"));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers),
            (ACCESS_CONTROL_MAX_AGE, &Some(self.max_age.clone())),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
        self.permit(origin.as_ref(), headers);
        Ok(response)
    }

    /// Puts the policy on any answer of the route: of the server, and of the gateway itself, refusals included, so that
    /// the script that asked may read why. `origin`: as the request had it.
    pub fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        if self.permit(origin, headers)
            && let Some(expose) = &self.expose
        {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        // The same answer for all origins does not depend on theirs.
        if self.origins != Origins::Any && !varies_by_origin(headers) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Tells the origin that it may, if so.
    fn permit(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else { return false };
        let value = if self.origins == Origins::Any { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Origins::Listed(origins) = &self.origins else { return true };
        // Scheme and host, all there is to an origin but the port, are the same in any case (RFC 3986, 6.2.2.1).
        origin.to_str().is_ok_and(|origin| origins.iter().any(|one| is(one, origin)))
    }

    /// A blank name is of an empty list.
    fn allows_header(&self, name: &[u8]) -> bool {
        name.is_empty()
            || self.headers.iter().any(|one| one.as_str().as_bytes().eq_ignore_ascii_case(name))
            || (self.any_header && !name.eq_ignore_ascii_case(b"authorization"))
    }
}

const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

fn refused(detail: &'static str) -> Refusal {
    Refusal::new(Reason::CorsRefused, detail).with(VARY, HeaderValue::from_static(PREFLIGHT_VARY))
}

fn is(allowed: &Origin, origin: &str) -> bool {
    match allowed {
        Origin::Exact(text) => text.eq_ignore_ascii_case(origin),
        Origin::Below(scheme, suffix) => {
            let Some((start, host)) = origin.split_at_checked(scheme.len()) else { return false };
            let Some((labels, end)) =
                host.len().checked_sub(suffix.len()).and_then(|at| host.split_at_checked(at))
            else {
                return false;
            };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            start.eq_ignore_ascii_case(scheme)
                && end.eq_ignore_ascii_case(suffix)
                && !labels.is_empty()
                && !labels.starts_with('.')
                && labels.bytes().all(plain)
        }
    }
}

/// Whether `Vary` says so already.
fn varies_by_origin(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(VARY).iter();
    let mut names =
        lists.flat_map(|list| list.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

/// As one header value; `None`: nothing to tell.
fn joined(names: &[impl Display]) -> Option<HeaderValue> {
    let text = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // Names of methods and headers are tokens.
    HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing;
    use super::*;

    fn policy(origins: Option<&[&str]>, headers: &[&str], credentials: bool) -> Policy {
        let origin = |text: &&str| match text.split_once("://*") {
            Some((scheme, suffix)) => Origin::Below(format!("{scheme}://"), suffix.to_owned()),
            None => Origin::Exact((*text).to_owned()),
        };
        Policy::new(&Cors {
            origins: origins.map_or(Origins::Any, |list| Origins::Listed(list.iter().map(origin).collect())),
            methods: vec![Method::GET, Method::PUT],
            headers: headers.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap()).collect(),
            expose: vec![HeaderName::from_static("x-total")],
            credentials,
            max_age: Duration::from_secs(600),
        })
    }

    #[test]
    fn origins_are_compared_as_wholes() {
        let listed = policy(
            Some(&["https://a.test", "http://b.test:8080", "https://*.c.test", "https://*.d.test:8443"]),
            &[],
            true,
        );
        for (origin, allowed) in [
            ("https://a.test", true),
            ("HTTPS://A.Test", true),
            ("http://a.test", false),
            ("https://a.test:443", false),
            ("https://a.test:8443", false),
            ("https://a.test.evil.test", false),
            ("https://evila.test", false),
            ("http://b.test:8080", true),
            ("http://b.test", false),
            ("https://x.c.test", true),
            ("https://X.y.C.test", true),
            ("https://c.test", false),
            ("https://.c.test", false),
            ("https://evil.test/.c.test", false),
            ("https://user@x.c.test", false),
            ("https://evilc.test", false),
            ("https://x.c.test:8443", false),
            ("http://x.c.test", false),
            ("https://x.d.test:8443", true),
            ("https://x.d.test", false),
            ("null", false),
            ("", false),
            ("https://ü.c.test", false),
            ("ü", false),
        ] {
            let value = HeaderValue::from_bytes(origin.as_bytes()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            listed.decorate(Some(&value), &mut headers);
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), allowed.then_some(&value), "{origin}");
            assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed);
            assert_eq!(headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS), allowed);
            assert_eq!(headers[VARY], "Origin");
        }
    }

    #[test]
    fn any_origin_never_comes_with_credentials() {
        let any = policy(None, &["x-a"], true);
        for origin in ["https://a.test", "null"] {
            let mut headers = HeaderMap::new();
            any.decorate(Some(&HeaderValue::from_static(origin)), &mut headers);
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "x-total");
            assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            assert!(!headers.contains_key(VARY));
        }
    }

    #[test]
    fn vary_grows_by_what_it_lacks() {
        let listed = policy(Some(&["https://a.test"]), &[], false);
        for (before, after) in [
            (&["Accept-Encoding"][..], &["Accept-Encoding", "Origin"][..]),
            (&["accept, ORIGIN"], &["accept, ORIGIN"]),
            (&["*"], &["*"]),
            (&[], &["Origin"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_static(value));
            }
            listed.decorate(None, &mut headers);
            assert!(headers.get_all(VARY).iter().eq(after.iter()));
            assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }

    #[test]
    fn preflights_are_answered_or_refused() {
        let origins = Some(&["https://a.test"][..]);
        let plain = || policy(origins, &["x-a", "content-type"], true);
        let wild = |credentials| policy(origins, &["*"], credentials);
        for (policy, origin, method, headers, allowed) in [
            (plain(), "https://a.test", "PUT", Some("x-a"), true),
            (plain(), "https://a.test", "PUT", Some("X-A , content-type"), true),
            (plain(), "https://a.test", "GET", None, true),
            (plain(), "https://a.test", "GET", Some(""), true),
            (plain(), "https://b.test", "PUT", None, false),
            (plain(), "https://a.test", "DELETE", None, false),
            (plain(), "https://a.test", "put", None, false),
            (plain(), "https://a.test", "PUT", Some("x-a, x-b"), false),
            (wild(false), "https://a.test", "PUT", Some("x-b"), true),
            (wild(false), "https://a.test", "PUT", Some("Authorization"), false),
            (wild(true), "https://a.test", "PUT", Some("x-b"), false),
        ] {
            let mut all = vec![("origin", origin), ("access-control-request-method", method)];
            all.extend(headers.map(|list| ("access-control-request-headers", list)));
            let head = testing::head("OPTIONS", "/", &all);
            assert_eq!(preflight_method(&head), Some(method.as_bytes()));
            let answer = policy.preflight(&head).unwrap_or_else(|refusal| refusal.into_response("id"));
            let permitted = answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
            let expected = if allowed { 204 } else { 403 };
            assert_eq!(
                (answer.status().as_u16(), permitted),
                (expected, allowed),
                "{origin} {method} {headers:?}"
            );
            assert_eq!(answer.headers()[VARY], PREFLIGHT_VARY);
            if allowed {
                assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_METHODS], "GET, PUT");
                assert_eq!(answer.headers()[ACCESS_CONTROL_MAX_AGE], "600");
            }
        }
    }

    #[test]
    fn what_is_no_preflight_is_not_taken_for_one() {
        for (method, headers) in [
            ("GET", &[("origin", "https://a.test"), ("access-control-request-method", "PUT")][..]),
            ("OPTIONS", &[("origin", "https://a.test")]),
            ("OPTIONS", &[("access-control-request-method", "PUT")]),
        ] {
            assert_eq!(preflight_method(&testing::head(method, "/", headers)), None);
        }
        let twice = testing::head("GET", "/", &[("origin", "https://a.test"), ("origin", "https://b.test")]);
        assert_eq!(origin(&twice.headers), None);
    }
}
