//! Compresses answers as they stream, where the client takes that and the answer gains by it.
//!
//! Nothing is held back: whenever the server has nothing more at the moment, all it sent so far goes out. A stream holds
//! 8 KiB of output, the piece of the body at hand, and the encoder, which takes 0.35 MiB for gzip, 0.9 MiB for zstd and
//! 2.2 MiB for brotli (measured, with the levels and the window of `encoder`).

mod body;
mod encoder;
mod negotiate;

pub use negotiate::choose;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, response};
use http_body::Body as _;

use super::Body;
use super::json::{DIGESTS, is_encoded, media_type};
use crate::config::gateway::{Compression, Encoding};
use body::Compressed;

/// Compresses an answer's body and changes its head to tell so. `method` and `asked` are the request's, as the client sent
/// them. The answers to HEAD and to a condition that did not hold tell what the whole answer would: RFC 9110, sections
/// 9.3.2 and 15.4.5.
pub fn compress(
    used: &Compression,
    method: &Method,
    asked: &HeaderMap,
    head: &mut response::Parts,
    body: Body,
) -> Body {
    if head.status == StatusCode::NOT_MODIFIED && matches!(*method, Method::GET | Method::HEAD) {
        not_modified(used, asked, &mut head.headers);
        return body;
    }
    if !gains(used, method, head, &body) {
        return body;
    }
    vary(&mut head.headers);
    let Some(encoding) = choose(asked, &used.encodings) else {
        return body;
    };
    let headers = &mut head.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(token(encoding)));
    for name in [CONTENT_LENGTH, ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in DIGESTS {
        headers.remove(name);
    }
    weaken(headers);
    if *method == Method::HEAD { body } else { Body::wrap(Compressed::new(body, encoding)) }
}

/// The head of an answer that says that the one which the client has is still good. Whether that one was compressed is not
/// to be told from it, as it may lack the type: what it says holds for either.
fn not_modified(used: &Compression, asked: &HeaderMap, headers: &mut HeaderMap) {
    let is_other = media_type(headers).is_some_and(|media_type| !is_compressible(used, &media_type));
    if is_other || is_encoded(headers) || has_token(headers, CACHE_CONTROL, "no-transform") {
        return;
    }
    vary(headers);
    if choose(asked, &used.encodings).is_some() {
        // The weak tag fits the whole answer's tag, weak or strong.
        weaken(headers);
    }
}

/// As `Accept-Encoding` and `Content-Encoding` have it.
fn token(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Brotli => "br",
        Encoding::Gzip => "gzip",
        Encoding::Zstd => "zstd",
    }
}

/// Whether an answer is one to compress, whatever the client takes.
fn gains(used: &Compression, method: &Method, head: &response::Parts, body: &Body) -> bool {
    let bare = head.status.is_informational()
        || matches!(
            head.status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        );
    let headers = &head.headers;
    if bare || *method == Method::CONNECT || is_encoded(headers) {
        return false;
    }
    if headers.contains_key(CONTENT_RANGE) || has_token(headers, CACHE_CONTROL, "no-transform") {
        return false;
    }
    let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_bodiless = *method == Method::HEAD;
    let length = if is_bodiless { told } else { body.size_hint().exact().or(told) };
    if body.is_empty() && !is_bodiless || length.is_some_and(|length| length < u64::from(used.least_bytes)) {
        return false;
    }
    media_type(headers).is_some_and(|media_type| is_compressible(used, &media_type))
}

fn is_compressible(used: &Compression, media_type: &str) -> bool {
    !media_type.starts_with("application/grpc")
        && used.types.iter().any(|listed| is_listed(media_type, listed))
}

/// Whether a media type in lower case is one of `text/*`, `*/*` or `text/html`.
fn is_listed(media_type: &str, listed: &str) -> bool {
    match listed.strip_suffix("/*") {
        Some("*") => true,
        Some(main) => media_type.split('/').next().is_some_and(|its| its.eq_ignore_ascii_case(main)),
        None => media_type.eq_ignore_ascii_case(listed),
    }
}

/// Whether a list holds a word.
fn has_token(headers: &HeaderMap, name: http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name);
    values.iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| {
            let one = one.split(['=', ';']).next().unwrap_or_default();
            one.trim_ascii().eq_ignore_ascii_case(word)
        })
    })
}

/// RFC 9110, section 12.5.5: caches have to know that other clients get other bytes.
fn vary(headers: &mut HeaderMap) {
    if !has_token(headers, VARY, "*") && !has_token(headers, VARY, "accept-encoding") {
        headers.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
    }
}

/// RFC 9110, section 8.8.1: a strong tag is for these very bytes.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else {
        return;
    };
    match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        Ok(weak) => _ = headers.insert(ETAG, weak),
        Err(_) => _ = headers.remove(ETAG),
    }
}

#[cfg(test)]
mod tests;
