//! Transforms of whole bodies, with the headers that tell about them.

use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{apply, is_encoded, is_other_charset, says_json};
use crate::config::gateway::{BodyTransform, Template};
use crate::gateway::collect::{Collected, Whole, collect};
use crate::gateway::{Body, Reason, Refusal};

/// Fills in a template.
pub type Render<'a> = &'a (dyn Fn(&Template) -> String + Send + Sync);

/// Changes a request's body where it is JSON.
///
/// # Errors
///
/// 415 for an encoded body, 413 for one above the transform's limit, 400 for what is no JSON.
pub async fn transform_request_body(
    transform: &BodyTransform,
    headers: &mut HeaderMap,
    body: Body,
    render: Render<'_>,
) -> Result<Body, Refusal> {
    if body.is_empty() || !says_json(headers) {
        return Ok(body);
    }
    if is_encoded(headers) {
        return Err(Refusal::new(
            Reason::WrongContentType,
            "the body has a content coding; send it without one",
        )
        .with(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .closing());
    }
    if is_other_charset(headers) {
        let detail = "the body's charset is not UTF-8; send it in UTF-8";
        return Err(Refusal::new(Reason::WrongContentType, detail).closing());
    }
    match collect(body, transform.most_bytes.into()).await {
        Err(error) => {
            Err(Refusal::new(error.reason, "the body did not come whole").because(error.cause).closing())
        }
        Ok(Collected::Larger(_)) => {
            let detail = format!("the body may have {} bytes at most", transform.most_bytes);
            Err(Refusal::new(Reason::BodyTooLarge, detail).closing())
        }
        Ok(Collected::Whole(whole)) if whole.data.is_empty() => Ok(whole.into_body()),
        Ok(Collected::Whole(whole)) => changed(transform, headers, whole, render)
            .map_err(|error| Refusal::new(Reason::NotJson, format!("the body is not JSON: {error}"))),
    }
}

/// Changes an answer's body where it is JSON. `method` is the request's.
///
/// # Errors
///
/// 502 for an encoded body, one above the transform's limit, and for what is no JSON: it could hold what the transform is to
/// take out.
pub async fn transform_response_body(
    transform: &BodyTransform,
    method: &Method,
    status: StatusCode,
    headers: &mut HeaderMap,
    body: Body,
    render: Render<'_>,
) -> Result<Body, Refusal> {
    let bare =
        status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bare || !says_json(headers) {
        return Ok(body);
    }
    if *method == Method::HEAD {
        // What they tell is not what a GET would get.
        remove_stale(headers);
        headers.remove(CONTENT_LENGTH);
        return Ok(body);
    }
    let refused =
        |cause: String| Refusal::new(Reason::AnswerRefused, "the answer cannot be passed on").because(cause);
    if is_encoded(headers) {
        return Err(refused("the answer is to be changed and has a content coding".to_owned()));
    }
    match collect(body, transform.most_bytes.into()).await {
        Err(error) if error.reason == Reason::BodyCutShort => {
            Err(Refusal::new(Reason::AnswerCutShort, "the answer did not come whole").because(error.cause))
        }
        Err(error) => Err(Refusal::new(error.reason, "the answer did not come whole").because(error.cause)),
        Ok(Collected::Larger(_)) => Err(refused(format!(
            "the answer is to be changed and has more than {} bytes",
            transform.most_bytes
        ))),
        Ok(Collected::Whole(whole)) if whole.data.is_empty() => Ok(whole.into_body()),
        Ok(Collected::Whole(whole)) => changed(transform, headers, whole, render)
            .map_err(|error| refused(format!("the answer is to be changed and is not JSON: {error}"))),
    }
}

fn changed(
    transform: &BodyTransform,
    headers: &mut HeaderMap,
    mut whole: Whole,
    render: Render<'_>,
) -> Result<Body, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(&whole.data)?;
    apply(transform, &mut value, render);
    whole.data = serde_json::to_vec(&value)?.into();
    remove_stale(headers);
    headers.insert(CONTENT_LENGTH, whole.data.len().into());
    Ok(whole.into_body())
}

/// Takes off what was told about the bytes before they changed.
fn remove_stale(headers: &mut HeaderMap) {
    for name in [ETAG, ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in DIGESTS {
        headers.remove(name);
    }
}

/// Headers that hold a digest of the bytes.
pub(in crate::gateway) const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn transform() -> BodyTransform {
        BodyTransform { drop: vec!["/secret".to_owned()], most_bytes: 40, ..BodyTransform::default() }
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| _ = headers.append(name, value));
        headers
    }

    const SECRET: &str = r#"{"a":1,"secret":2}"#;

    #[tokio::test]
    async fn requests() {
        let json = ("content-type", "application/json; charset=utf-8");
        let long = r#"{"a":"0123456789012345678901234567890123456789"}"#;
        for (name, lines, body, want) in [
            ("changed", vec![json], SECRET, Ok(r#"{"a":1}"#)),
            ("any JSON", vec![("content-type", "Application/Problem+JSON")], SECRET, Ok(r#"{"a":1}"#)),
            ("identity", vec![json, ("content-encoding", "identity")], SECRET, Ok(r#"{"a":1}"#)),
            ("two types", vec![("content-type", "text/plain"), json], SECRET, Ok(r#"{"a":1}"#)),
            ("other types", vec![("content-type", "text/plain")], SECRET, Ok(SECRET)),
            ("no type", vec![], SECRET, Ok(SECRET)),
            ("empty", vec![json], "", Ok("")),
            ("encoded", vec![json, ("content-encoding", "gzip")], SECRET, Err(Reason::WrongContentType)),
            (
                "another charset",
                vec![("content-type", "application/json; v=1; Charset = \"utf-7\"")],
                SECRET,
                Err(Reason::WrongContentType),
            ),
            ("too large", vec![json], long, Err(Reason::BodyTooLarge)),
            ("no JSON", vec![json], "{", Err(Reason::NotJson)),
        ] {
            let mut headers = headers(&lines);
            let body = Body::full(body);
            let done = transform_request_body(&transform(), &mut headers, body, &|_| String::new()).await;
            match (done, want) {
                (Ok(body), Ok(want)) => assert_eq!(body.collect().await.unwrap().to_bytes(), want, "{name}"),
                (Err(refusal), Err(want)) => assert_eq!(refusal.reason, want, "{name}"),
                (done, _) => panic!("{name}: {done:?}"),
            }
        }
    }

    #[test]
    fn transforms_may_move_between_threads() {
        fn is_send(_: impl Send) {}
        let (transform, mut headers) = (transform(), HeaderMap::new());
        is_send(transform_request_body(&transform, &mut headers, Body::empty(), &|_| String::new()));
    }

    #[tokio::test]
    async fn answers() {
        let json = ("content-type", "application/json");
        let get = Method::GET;
        for (name, method, status, lines, body, want) in [
            (
                "changed",
                &get,
                200,
                vec![json, ("etag", "\"1\""), ("digest", "x"), ("content-length", "18")],
                SECRET,
                Some(r#"{"a":1}"#),
            ),
            ("errors too", &get, 404, vec![json], SECRET, Some(r#"{"a":1}"#)),
            ("no content", &get, 204, vec![json], "", Some("")),
            ("encoded", &get, 200, vec![json, ("content-encoding", "br")], SECRET, None),
            ("no JSON", &get, 200, vec![json], "<html>", None),
            (
                "of HEAD",
                &Method::HEAD,
                200,
                vec![json, ("content-length", "18"), ("etag", "\"1\"")],
                "",
                Some(""),
            ),
        ] {
            let (mut headers, status) = (headers(&lines), StatusCode::from_u16(status).unwrap());
            let body = Body::full(body);
            let done =
                transform_response_body(&transform(), method, status, &mut headers, body, &|_| String::new())
                    .await;
            match (done, want) {
                (Ok(body), Some(want)) => {
                    assert!(!headers.contains_key("etag") && !headers.contains_key("digest"), "{name}");
                    if let Some(length) = headers.get(CONTENT_LENGTH) {
                        assert_eq!(length, &want.len().to_string(), "{name}");
                    }
                    assert_eq!(body.collect().await.unwrap().to_bytes(), want, "{name}");
                }
                (Err(refusal), None) => assert_eq!(refusal.reason, Reason::AnswerRefused, "{name}"),
                (done, _) => panic!("{name}: {done:?}"),
            }
        }
    }
}
