//! Headers that concern one connection only (RFC 9110 section 7.6.1).

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::gateway::Reason::BadSyntax;
use crate::gateway::wire::Fault;

/// Always taken off, nominated or not.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What Connection may not take off: framing, and what tells servers who asks, by which way, and for what.
const END_TO_END: [&str; 13] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "set-cookie",
    "via",
    "x-real-ip",
];

/// Takes off what concerns the connection that a message came by: Connection and what it nominates, Keep-Alive,
/// Proxy-Connection, Transfer-Encoding, TE but for `trailers`, which gRPC demands, and Upgrade unless it is kept and
/// nominated, which makes a wish of it (RFC 9110 section 7.8); then a Connection that nominates it is put in place.
/// Trailer stays, as trailers do.
///
/// Fails where Connection nominates a header that is for the other end: with a client's this is an attempt to have
/// a header taken off that others have set or rely on (`Connection: close, X-Forwarded-For`).
pub fn strip_hop_by_hop(headers: &mut HeaderMap, keep_upgrade: bool) -> Result<(), Fault> {
    let mut found = Found::default();
    for name in headers.keys() {
        match name {
            &CONNECTION => found.connection = true,
            &TE => found.te = true,
            &UPGRADE => found.upgrade = true,
            &TRANSFER_ENCODING => found.others = true,
            other => found.others |= matches!(other.as_str().len(), 10 | 14 | 16) && is_other(other),
        }
    }
    let upgrades = keep_upgrade && found.upgrade && headers.get_all(CONNECTION).iter().any(names_upgrade);
    if found.connection {
        take_nominated(headers)?;
        headers.remove(CONNECTION);
    }
    if found.te {
        let trailers = headers.get_all(TE).iter().any(wants_trailers);
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    if found.others {
        for name in [TRANSFER_ENCODING, KEEP_ALIVE, PROXY_CONNECTION, HTTP2_SETTINGS] {
            headers.remove(name);
        }
    }
    if found.upgrade {
        if upgrades {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        } else {
            headers.remove(UPGRADE);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    connection: bool,
    te: bool,
    upgrade: bool,
    others: bool,
}

fn is_other(name: &HeaderName) -> bool {
    [KEEP_ALIVE, PROXY_CONNECTION, HTTP2_SETTINGS].contains(name)
}

fn wants_trailers(value: &HeaderValue) -> bool {
    holds(value, b"trailers")
}

fn names_upgrade(value: &HeaderValue) -> bool {
    holds(value, b"upgrade")
}

/// Whether it is one of the elements of a list.
fn holds(value: &HeaderValue, element: &[u8]) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(element))
}

/// Removes what Connection names, but for TE and Upgrade, which are seen to by themselves.
fn take_nominated(headers: &mut HeaderMap) -> Result<(), Fault> {
    let mut values = headers.get_all(CONNECTION).iter();
    let (first, second) = (values.next().cloned(), values.next().is_some());
    if !second {
        return first.map_or(Ok(()), |value| nominated(headers, &value));
    }
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    values.iter().try_for_each(|value| nominated(headers, value))
}

fn nominated(headers: &mut HeaderMap, value: &HeaderValue) -> Result<(), Fault> {
    for part in value.as_bytes().split(|byte| *byte == b',') {
        let part = part.trim_ascii();
        let is = |name: &str| part.eq_ignore_ascii_case(name.as_bytes());
        if part.is_empty() || ["close", "keep-alive", "te", "upgrade", "connection"].into_iter().any(is) {
            continue;
        }
        let forwarded = part.get(..12).is_some_and(|begin| begin.eq_ignore_ascii_case(b"x-forwarded-"));
        if forwarded || END_TO_END.into_iter().any(is) {
            return Err(Fault::new(BadSyntax, "Connection names a header that is for the other end"));
        }
        let name = HeaderName::from_bytes(part)
            .map_err(|_| Fault::new(BadSyntax, "Connection names what cannot be a header"))?;
        headers.remove(name);
    }
    Ok(())
}
