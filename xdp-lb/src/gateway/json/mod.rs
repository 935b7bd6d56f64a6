//! Changes JSON bodies as they pass: fields dropped, renamed and set, the order of all others kept.
//!
//! Only bodies whose type is JSON are changed, all others pass as they are. A request whose JSON is encoded (gzip) is
//! refused with 415, an answer with 502: what a transform is to take out of it must not slip through, and decoding would
//! let a small body become a huge one. Numbers are kept as 64-bit integers or as floating point of 64 bits: digits beyond
//! those are lost.

mod apply;
mod body;
mod strict;

pub use apply::apply;
pub(in crate::gateway) use body::DIGESTS;
pub use body::{Render, transform_request_body, transform_response_body};
pub use strict::escaped;
pub use strict::{NotJson, Parsed, parse};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The media type in lower case, without parameters; `None` without one, with several, or where it is not text.
pub(in crate::gateway) fn media_type(headers: &HeaderMap) -> Option<std::borrow::Cow<'_, str>> {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return None;
    }
    let value = value.split(';').next().unwrap_or_default().trim_ascii();
    Some(if value.bytes().any(|b| b.is_ascii_uppercase()) {
        value.to_ascii_lowercase().into()
    } else {
        value.into()
    })
}

/// Whether the media type says of a text that it is in another encoding than UTF-8, and so may say something else to who
/// believes that.
pub(in crate::gateway) fn is_other_charset(headers: &HeaderMap) -> bool {
    let is_other = |parameter: &str| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let value = value.trim_ascii().trim_matches('"');
        let plain = ["utf-8", "utf8", "us-ascii"];
        name.trim_ascii().eq_ignore_ascii_case("charset")
            && !plain.iter().any(|one| value.eq_ignore_ascii_case(one))
    };
    let types = headers.get_all(CONTENT_TYPE).iter();
    types.filter_map(|value| value.to_str().ok()).any(|value| value.split(';').skip(1).any(is_other))
}

/// Whether a media type, as [`media_type`] gives it, is JSON.
pub(in crate::gateway) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// Whether the body says of itself that it is JSON, in any of its headers.
pub(in crate::gateway) fn says_json(headers: &HeaderMap) -> bool {
    media_type(headers).map_or_else(
        || headers.get_all(CONTENT_TYPE).iter().any(|value| value.as_bytes().windows(4).any(is_word_json)),
        |media_type| is_json(&media_type),
    )
}

fn is_word_json(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"json")
}

/// Whether there is a content coding other than identity.
pub(in crate::gateway) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
