use std::ops::RangeInclusive;

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderName, Response};

use super::BuildError;
use super::headers::HeaderEdits;
use super::respond::{Text, may_have_body};
use super::template::Context;
use crate::config::gateway::Route;
use crate::gateway::Body;

/// Changes of an answer, compiled; those of JSON bodies aside.
#[derive(Clone, Debug)]
pub struct ResponseEdits {
    headers: HeaderEdits,
    templates: Vec<(RangeInclusive<u16>, Text)>,
}

/// What describes the server's body and not the one in its place.
const OF_THE_BODY: [HeaderName; 8] = [
    ACCEPT_RANGES,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
    TRANSFER_ENCODING,
];

impl ResponseEdits {
    /// Those of a route.
    pub fn build(route: &Route) -> Result<Self, BuildError> {
        let headers = HeaderEdits::build(&route.name, "response", &route.response.headers)?;
        let templates = route.response.templates.iter().map(|template| {
            let text = Text::build(&route.name, &template.body, &template.content_type)?;
            Ok((template.statuses.clone(), text))
        });
        Ok(Self { headers, templates: templates.collect::<Result<_, _>>()? })
    }

    /// Whether the request's head is needed for them: where not, [`Context::head`] may be any.
    pub fn need_head(&self) -> bool {
        self.headers.needs_head() || self.templates.iter().any(|(_, text)| text.needs_head())
    }

    /// Changes the answer: first its body by the first template for its status, then its headers. `context.status` is
    /// the answer's, whatever it says.
    pub fn apply(&self, context: &Context<'_>, response: &mut Response<Body>) {
        let status = response.status();
        let context = Context { status: Some(status), ..*context };
        let headers = self.headers.fill(&context);
        let template = self.templates.iter().find(|(statuses, _)| statuses.contains(&status.as_u16()));
        if let Some((_, text)) = template
            && may_have_body(status)
        {
            for name in OF_THE_BODY.iter().chain(&[HeaderName::from_static("content-digest")]) {
                response.headers_mut().remove(name);
            }
            text.put(&context, response);
        }
        headers.apply(response.headers_mut());
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http_body_util::BodyExt as _;

    use super::super::testing::{self, template};
    use super::*;
    use crate::config::gateway::{PathPattern, ResponseTemplate};

    fn edits() -> ResponseEdits {
        let mut route = testing::route("r", PathPattern::Prefix(String::new()));
        let text = |statuses, body, content_type: &str| ResponseTemplate {
            statuses,
            body: template(body),
            content_type: content_type.to_owned(),
        };
        route.response.templates = vec![
            text(404..=404, "{\"missing\":\"{path}\"}", "application/json"),
            text(200..=599, "{status}", "text/plain"),
        ];
        route.response.headers.remove = vec![HeaderName::from_static("server")];
        route.response.headers.set = vec![(HeaderName::from_static("x-status"), template("{status}"))];
        ResponseEdits::build(&route).unwrap()
    }

    #[tokio::test]
    async fn a_body_stands_in_for_the_servers() {
        for (method, status, body, content_type, length) in [
            ("GET", 404, "{\"missing\":\"/a\"}", "application/json", Some("16")),
            ("HEAD", 404, "", "application/json", Some("16")),
            ("GET", 500, "500", "text/plain", Some("3")),
            ("GET", 304, "old", "image/png", Some("3")),
        ] {
            let exchange = testing::exchange(method, "shop.test", "/a");
            let head = testing::head(method, "/a", &[]);
            let mut response = Response::builder()
                .status(status)
                .header("content-type", "image/png")
                .header("content-length", "3")
                .header("content-encoding", "gzip")
                .header("etag", "\"x\"")
                .header("server", "secret/1.0")
                .body(Body::full("old"))
                .unwrap();
            let edits = edits();
            assert!(!edits.need_head());
            edits.apply(&Context { exchange: &exchange, head: &head, rest: "", status: None }, &mut response);
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], content_type);
            assert_eq!(headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap()), length);
            assert_eq!(headers.contains_key(CONTENT_ENCODING), status == 304);
            assert_eq!(headers.contains_key(ETAG), status == 304);
            assert!(!headers.contains_key("server"));
            assert_eq!(headers["x-status"], status.to_string());
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body.as_bytes());
        }
    }
}
