use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// Where a value is put, and so how it has to be written to stay one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Nowhere in particular: as it is.
    None,
    /// A segment of a path, percent-encoded. What was part of a path before stays as it is, slashes included; of the
    /// path's parameters, which were decoded, the slashes stay.
    Path,
    /// A name or value of a query, percent-encoded.
    Query,
    /// A header's value: without control characters.
    Header,
    /// Within a string of JSON.
    Json,
    /// A whole text of JSON: within a string as [`Escape::Json`]; elsewhere a number, `true`, `false`, `null` or a
    /// verified claim as it is, anything else as a string.
    JsonText,
    /// Text or an attribute's quoted value of HTML or XML.
    Html,
}

/// All but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, but slashes.
const SEGMENTS: &AsciiSet = &VALUE.remove(b'/');

/// What may not be in a path that is encoded already (RFC 3986, 3.3). `%` stays.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What may not be in a query that is encoded already. `?` may.
const QUERY: &AsciiSet = &PATH.remove(b'?').remove(b'[').remove(b']');

/// Percent-encodes a value, whole.
pub(super) fn encode_value(value: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(value, VALUE)
}

/// Percent-encodes a parameter of the route's path for another path. Slashes stay: a parameter that has some is the rest of
/// a path (`{*name}`), where they divided segments as well.
pub(super) fn encode_segments(value: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(value, SEGMENTS)
}

/// What of a path or query is encoded already, made safe where it was not.
pub(super) fn keep_encoded(value: &str, query: bool) -> impl Iterator<Item = &str> {
    utf8_percent_encode(value, if query { QUERY } else { PATH })
}

/// Appends a value. `encoded`: it is of a path, and so encoded already.
pub(super) fn push(out: &mut String, value: &str, escape: Escape, encoded: bool) {
    match escape {
        Escape::None => out.push_str(value),
        Escape::Path if encoded => out.extend(keep_encoded(value, false)),
        Escape::Path | Escape::Query => out.extend(encode_value(value)),
        Escape::Header => out.extend(value.chars().filter(|character| !character.is_control())),
        Escape::Json | Escape::JsonText => push_json(out, value),
        Escape::Html => out.extend(value.chars().map(|character| match character {
            '&' => Cow::Borrowed("&amp;"),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '"' => "&quot;".into(),
            '\'' => "&#39;".into(),
            other => other.to_string().into(),
        })),
    }
}

/// As a string of JSON has it, without the quotes (RFC 8259, 7).
fn push_json(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // `<` and the two line ends of JavaScript: the text may stand in a script of a page.
            '\0'..' ' | '\x7f' | '<' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        for (escape, encoded, value, expected) in [
            (Escape::None, false, "a\r\nb\"", "a\r\nb\""),
            (Escape::Path, false, "a/../b?c#d\\e%2f", "a%2F..%2Fb%3Fc%23d%5Ce%252f"),
            (Escape::Path, true, "/a/%2e%41/b?c#d\\e\r\n", "/a/%2e%41/b%3Fc%23d%5Ce%0D%0A"),
            (Escape::Path, false, "ü", "%C3%BC"),
            (Escape::Query, false, "1&admin=1 +#", "1%26admin%3D1%20%2B%23"),
            (Escape::Query, true, "/a&b", "%2Fa%26b"),
            (Escape::Header, false, "a\r\nSet-Cookie: b\0\x7f\u{85}c", "aSet-Cookie: bc"),
            (
                Escape::Json,
                false,
                "\",\"admin\":true,\"\\\n\u{1}",
                "\\\",\\\"admin\\\":true,\\\"\\\\\\n\\u0001",
            ),
            (Escape::Json, false, "</script>\u{2028}", "\\u003c/script>\\u2028"),
            (Escape::Html, false, "<a href='\"&", "&lt;a href=&#39;&quot;&amp;"),
        ] {
            let mut out = String::new();
            push(&mut out, value, escape, encoded);
            assert_eq!(out, expected, "{escape:?} {value:?}");
            if escape == Escape::Json {
                assert_eq!(serde_json::from_str::<String>(&format!("\"{out}\"")).unwrap(), value);
            }
        }
    }
}
