//! Where in a request's head credentials are.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// Bytes of credentials at most.
const MOST_BYTES: usize = 16 << 10;

/// Credentials of one kind in a request.
pub(super) enum Found<'a> {
    /// There are none.
    None,
    /// These.
    One(&'a [u8]),
    /// There are some that nobody could agree on.
    Bad(&'static str),
}

/// The credentials of a scheme (RFC 9110, section 11.4) in `Authorization`, or the whole value of another header.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &HeaderName, scheme: &str) -> Found<'a> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Found::None };
    if values.next().is_some() {
        return Found::Bad("the header with the credentials is there more than once");
    }
    let mut value = value.as_bytes();
    if *name == AUTHORIZATION {
        let Some((head, rest)) = value.split_at_checked(scheme.len()) else { return Found::None };
        if !head.eq_ignore_ascii_case(scheme.as_bytes()) || rest.first().is_some_and(|&byte| byte != b' ') {
            return Found::None;
        }
        value = rest.trim_ascii();
    }
    if value.is_empty() {
        return Found::Bad("the credentials are empty");
    }
    if value.len() > MOST_BYTES {
        return Found::Bad("the credentials are longer than 16 KiB");
    }
    Found::One(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn credentials_are_found_once() {
        for (values, scheme, found) in [
            (&[][..], "Bearer", "none"),
            (&["Bearer abc"], "Bearer", "abc"),
            (&["bearer   abc"], "Bearer", "abc"),
            (&["Bearerabc"], "Bearer", "none"),
            (&["Basic abc"], "Bearer", "none"),
            (&["Bea"], "Bearer", "none"),
            (&["Bearer"], "Bearer", "bad"),
            (&["Bearer "], "Bearer", "bad"),
            (&["Bearer a", "Bearer a"], "Bearer", "bad"),
            (&["Basic a", "Bearer a"], "Bearer", "bad"),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            let seen = match find(&headers, &AUTHORIZATION, scheme) {
                Found::None => "none",
                Found::Bad(_) => "bad",
                Found::One(value) => std::str::from_utf8(value).unwrap(),
            };
            assert_eq!(seen, found, "{values:?}");
        }
        let mut headers = HeaderMap::new();
        headers
            .insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", "a".repeat(20_000))).unwrap());
        assert!(matches!(find(&headers, &AUTHORIZATION, "Bearer"), Found::Bad(_)));
    }
}
