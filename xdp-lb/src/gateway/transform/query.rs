//! Queries as servers read them: `application/x-www-form-urlencoded`, by the URL standard.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The values of a parameter, decoded.
pub(crate) fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.split('&').filter(move |piece| is_named(piece, name)).map(|piece| decode(halves(piece).1))
}

/// Whether this piece of a query, from one `&` to the next, is of that parameter.
pub(super) fn is_named(piece: &str, name: &str) -> bool {
    !piece.is_empty() && *decode(halves(piece).0) == *name.as_bytes()
}

fn halves(piece: &str) -> (&str, &str) {
    piece.split_once('=').unwrap_or((piece, ""))
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        percent_decode(spaced.as_bytes()).collect::<Vec<u8>>().into()
    } else {
        percent_decode(text.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        for (query, name, expected) in [
            ("a=1&b=2&a=3", "a", &["1", "3"][..]),
            ("a", "a", &[""]),
            ("a=x=y", "a", &["x=y"]),
            ("%61=1+2%2b%20", "a", &["1 2+ "]),
            ("a+b=1", "a b", &["1"]),
            ("", "", &[]),
            ("&&=x", "", &["x"]),
            ("aa=1", "a", &[]),
            ("a=%zz%4", "a", &["%zz%4"]),
        ] {
            let values: Vec<_> =
                values(query, name).map(|value| String::from_utf8(value.into_owned()).unwrap()).collect();
            assert_eq!(values, expected, "{query} {name}");
        }
    }
}
