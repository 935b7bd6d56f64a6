//! What is known of a client once a verifier knows it, and how its server is told.

use std::sync::{Arc, LazyLock};

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use super::claims::claim;
use crate::config::gateway::Pass;

/// A client that a verifier knows. Made once for a token, key or user, and shared by its requests.
pub(super) struct Known {
    pub(super) subject: Arc<str>,
    pub(super) claims: Arc<Value>,
    /// What its server is told.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a verifier says of a request.
pub(super) enum Check {
    /// It has no credentials of this kind.
    Absent,
    /// It is this client's.
    Known(Arc<Known>),
    /// Its credentials are not good, for a reason that its sender may know.
    Refused(&'static str),
    /// It cannot be told now, for a reason for the log.
    Down(&'static str),
    /// It can be told after work that takes long.
    Later,
}

/// Claims of who has none.
pub(super) static NO_CLAIMS: LazyLock<Arc<Value>> = LazyLock::new(|| Arc::new(Value::Null));

/// What a verifier passes on, and its name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Passing {
    pub(super) verifier: Arc<str>,
    pub(super) pass: Vec<(HeaderName, Pass)>,
}

impl Known {
    pub(super) fn new(passing: &Passing, subject: Arc<str>, claims: Arc<Value>) -> Self {
        let value = |pass: &Pass| match pass {
            Pass::Subject => text(&subject),
            Pass::Verifier => text(&passing.verifier),
            Pass::Claim(name) => match claim(&claims, name)? {
                Value::Null => None,
                Value::String(string) => text(string),
                other => json(other),
            },
        };
        let headers =
            passing.pass.iter().filter_map(|(name, pass)| Some((name.clone(), value(pass)?))).collect();
        Self { subject, claims, headers }
    }

    /// Tells the server who asks, in place of what the request says of these names.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// Bytes that a header's value does not hold as they are; `%`, so that what was encoded can be told.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A text as a header's value: controls, `%`, all beyond ASCII and blanks at either end are percent-encoded, so that two
/// texts never look alike to a server.
fn text(text: &str) -> Option<HeaderValue> {
    if text.is_empty() {
        return None;
    }
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = if inner.is_empty() { 0 } else { text.len() - text.trim_end_matches(' ').len() };
    let mut value = "%20".repeat(before);
    value.extend(utf8_percent_encode(inner, ENCODED));
    value.push_str(&"%20".repeat(after));
    HeaderValue::try_from(value).ok()
}

/// JSON in ASCII.
fn json(value: &Value) -> Option<HeaderValue> {
    let json = serde_json::to_string(value).ok()?;
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && !character.is_ascii_control() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    HeaderValue::try_from(ascii).ok()
}

/// Whether a header says how a message is framed or where it goes, and so can hold no identity.
pub(super) fn is_https_own(name: &HeaderName) -> bool {
    let own = [&HOST, &CONNECTION, &CONTENT_LENGTH, &TE, &TRAILER, &TRANSFER_ENCODING, &UPGRADE];
    own.contains(&name)
}

/// Removes all headers of these names, also where a client wrote `_` for a `-`: servers that hand headers on as variables
/// (CGI, WSGI, PHP) take the two for one.
pub(super) fn strip(names: &[HeaderName], headers: &mut HeaderMap) {
    if names.is_empty() {
        return;
    }
    for name in names {
        headers.remove(name);
    }
    while let Some(alias) = headers.keys().find(|name| is_alias(names, name)).cloned() {
        headers.remove(alias);
    }
}

fn is_alias(names: &[HeaderName], name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    memchr::memchr(b'_', name).is_some()
        && names.iter().any(|own| {
            own.as_str().len() == name.len()
                && own.as_str().bytes().map(dashed).eq(name.iter().copied().map(dashed))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_and_break_no_line() {
        for (given, told) in [
            ("alice", Some("alice")),
            ("", None),
            ("a\r\nX-Admin: yes", Some("a%0D%0AX-Admin: yes")),
            ("a%0D", Some("a%250D")),
            ("Zoë", Some("Zo%C3%AB")),
            (" a b ", Some("%20a b%20")),
            ("  ", Some("%20%20")),
            ("a\0", Some("a%00")),
            ("\ta", Some("%09a")),
        ] {
            let value = text(given);
            assert_eq!(value.as_ref().map(|value| value.to_str().unwrap()), told, "{given:?}");
        }
    }

    #[test]
    fn json_is_ascii() {
        let value = serde_json::json!({"a": ["ë", "\n", "😀", "\u{7f}"]});
        let told = json(&value).unwrap();
        assert_eq!(told, r#"{"a":["\u00eb","\n","\ud83d\ude00","\u007f"]}"#);
        assert_eq!(serde_json::from_str::<Value>(told.to_str().unwrap()).unwrap(), value);
    }

    #[test]
    fn what_a_client_says_of_itself_goes() {
        let names = [HeaderName::from_static("x-user-id"), HeaderName::from_static("x-scope")];
        let mut headers = HeaderMap::new();
        for name in ["x-user-id", "x_user_id", "x-user_id", "x-user-idx", "user_agent", "x-scope"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        strip(&names, &mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["user_agent", "x-user-idx"]);
    }
}
