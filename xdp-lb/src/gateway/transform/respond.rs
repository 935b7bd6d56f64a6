use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use super::BuildError;
use super::escape::Escape;
use super::template::{Compiled, Context};
use crate::config::gateway::Template;
use crate::gateway::Body;

/// An answer of the gateway's own, compiled.
#[derive(Clone, Debug)]
pub struct Respond {
    status: StatusCode,
    text: Text,
}

impl Respond {
    /// With this status, body and media type; `route` is the route's name, for errors.
    pub fn build(
        route: &str,
        status: StatusCode,
        body: &Template,
        content_type: &str,
    ) -> Result<Self, BuildError> {
        Ok(Self { status, text: Text::build(route, body, content_type)? })
    }

    /// The answer. To HEAD its head alone.
    pub fn answer(&self, context: &Context<'_>) -> Response<Body> {
        let context = Context { status: Some(self.status), ..*context };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        self.text.put(&context, &mut response);
        response
    }
}

/// A body with its media type.
#[derive(Clone, Debug)]
pub(super) struct Text {
    body: Compiled,
    /// The body, where it has no places.
    constant: Option<Bytes>,
    content_type: HeaderValue,
    escape: Escape,
}

impl Text {
    pub(super) fn build(route: &str, body: &Template, content_type: &str) -> Result<Self, BuildError> {
        let value = HeaderValue::from_str(content_type).map_err(|_| BuildError {
            route: route.to_owned(),
            thing: "the content type of an answer".to_owned(),
            value: content_type.to_owned(),
            mend: "holds a character that a header may not; write it as `text/plain; charset=utf-8`",
        })?;
        let body = Compiled::new(body);
        let constant = body.constant().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        Ok(Self { body, constant, content_type: value, escape: escape_for(content_type) })
    }

    /// Makes it the answer's body, whose status is set already.
    pub(super) fn put(&self, context: &Context<'_>, response: &mut Response<Body>) {
        if !may_have_body(response.status()) {
            return;
        }
        let bytes = match &self.constant {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(self.body.render(context, self.escape).into_owned()),
        };
        response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        response.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
        let head_only = context.exchange.method == Method::HEAD;
        *response.body_mut() = if head_only { Body::empty() } else { Body::full(bytes) };
    }

    pub(super) fn needs_head(&self) -> bool {
        self.body.needs_head()
    }
}

/// Whether an answer of this status has a body (RFC 9110, 6.4.1).
pub(super) fn may_have_body(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How values are written in a text of this media type.
fn escape_for(content_type: &str) -> Escape {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    if subtype == "json" || subtype.ends_with("+json") || subtype.ends_with("javascript") {
        Escape::JsonText
    } else if matches!(subtype, "html" | "xml") || subtype.ends_with("+xml") {
        Escape::Html
    } else {
        Escape::None
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::super::testing::{self, template};
    use super::*;

    #[tokio::test]
    async fn answers_are_framed_and_escaped() {
        for (method, status, text, content_type, length, body) in [
            ("GET", 200, "hello", "text/plain", Some("5"), "hello"),
            ("HEAD", 200, "hello", "text/plain", Some("5"), ""),
            ("GET", 204, "hello", "text/plain", None, ""),
            ("GET", 200, "", "text/plain", Some("0"), ""),
            (
                "GET",
                418,
                "{\"a\":\"{param:x}\",\"s\":{status}}",
                "application/problem+json",
                Some("31"),
                "{\"a\":\"\\\",\\\"b\\\":\\\"\\u003ci>\",\"s\":418}",
            ),
            (
                "GET",
                200,
                "<p>{param:x}",
                "Text/HTML; charset=utf-8",
                Some("48"),
                "<p>&quot;,&quot;b&quot;:&quot;&lt;i&gt;",
            ),
            ("GET", 200, "{param:x}", "text/plain", Some("10"), "\",\"b\":\"<i>"),
        ] {
            let mut exchange = testing::exchange(method, "shop.test", "/");
            exchange.parameters.push(("x".into(), "\",\"b\":\"<i>".into()));
            let head = testing::head(method, "/", &[]);
            let context = Context { exchange: &exchange, head: &head, rest: "", status: None };
            let status = StatusCode::from_u16(status).unwrap();
            let response =
                Respond::build("r", status, &template(text), content_type).unwrap().answer(&context);
            assert_eq!(response.status(), status);
            let sent = response.headers().get(CONTENT_LENGTH).cloned();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, body.as_bytes(), "{text}");
            let length = if method == "HEAD" { length } else { length.map(|_| "") };
            let expected = match length {
                Some("") => Some(bytes.len().to_string()),
                other => other.map(str::to_owned),
            };
            assert_eq!(sent.map(|value| value.to_str().unwrap().to_owned()), expected, "{text}");
        }
        let template = template("");
        assert!(Respond::build("r", StatusCode::OK, &template, "text/plain\r\nx: y").is_err());
    }
}
