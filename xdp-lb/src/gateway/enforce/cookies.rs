//! Cookies of HTTP/2, which browsers send in pieces.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Makes one field of them (RFC 9113 section 8.2.3): of several, servers of HTTP/1 and what runs behind them read one.
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let pieces: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        joined.set_sensitive(true);
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_field_in_their_order() {
        for (pieces, joined) in
            [(&[][..], None), (&["a=1"], Some("a=1")), (&["a=1", "b=2; c=3", "d"], Some("a=1; b=2; c=3; d"))]
        {
            let mut headers = HeaderMap::new();
            for piece in pieces {
                headers.append(COOKIE, HeaderValue::from_static(piece));
            }
            join_cookies(&mut headers);
            let found: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(found, joined.as_slice());
        }
    }
}
