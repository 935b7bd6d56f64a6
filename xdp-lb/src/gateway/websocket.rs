//! WebSockets over HTTP/2 (RFC 8441): a client asks for one by CONNECT with `:protocol`. From here on it is the upgrade of
//! HTTP/1.1 that stands for the same (RFC 6455), so that routes, rules and servers see one form only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::ext::Protocol;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::{Body, Reason, Refusal};

/// What servers of WebSocket add to a key: RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The protocol, as CONNECT and Upgrade name it.
const NAME: &[u8] = b"websocket";

/// Whether this is a protocol that CONNECT may name.
pub(super) fn is_named_by(protocol: &Protocol) -> bool {
    protocol.as_ref().eq_ignore_ascii_case(NAME)
}

/// Gives a CONNECT the form of HTTP/1.1. The key, which HTTP/2 has none of, is made of `nonce`.
pub(super) fn ask(head: &mut Parts, nonce: u128) -> Result<(), Refusal> {
    let key = HeaderValue::try_from(STANDARD.encode(nonce.to_be_bytes()));
    let key =
        key.map_err(|error| Refusal::new(Reason::Internal, "no WebSocket can be opened").because(error))?;
    head.method = Method::GET;
    head.extensions.remove::<Protocol>();
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// Gives the answer the form of HTTP/2 again. There any 2xx says that the tunnel is open, so that an ordinary answer of
/// this kind is none that could be given.
pub(super) fn answer(mut response: Response<Body>) -> Result<Response<Body>, Refusal> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
            response.headers_mut().remove(name);
        }
        return Ok(response);
    }
    if response.status().is_success() {
        let detail = "no WebSocket is to be had here: the answer is an ordinary one";
        let cause = format!("status {} to a WebSocket over HTTP/2", response.status().as_u16());
        return Err(Refusal::new(Reason::NotUpgraded, detail).because(cause));
    }
    Ok(response)
}

/// What a server has to say to the key of a request.
pub(super) fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(headers.get(SEC_WEBSOCKET_KEY)?.as_bytes());
    digest.update(GUID);
    HeaderValue::try_from(STANDARD.encode(digest.finish())).ok()
}

/// Whether an answer 101 opens the WebSocket that was asked for.
pub(super) fn is_accepted(headers: &HeaderMap, accept: &HeaderValue) -> bool {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    one(SEC_WEBSOCKET_ACCEPT) == Some(accept)
        && one(UPGRADE).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(NAME))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_connect_becomes_an_upgrade() {
        let (mut head, ()) = Request::connect("https://a.example/chat").body(()).unwrap().into_parts();
        head.extensions.insert(Protocol::from_static("websocket"));
        head.headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("of the client"));
        ask(&mut head, 0x0102_0304).unwrap();
        assert_eq!((&head.method, head.uri.path()), (&Method::GET, "/chat"));
        assert_eq!(head.headers[CONNECTION], "upgrade");
        assert_eq!(head.headers[UPGRADE], "websocket");
        assert_eq!(head.headers[SEC_WEBSOCKET_KEY], "AAAAAAAAAAAAAAAAAQIDBA==");
        assert!(head.extensions.get::<Protocol>().is_none(), "HTTP/2 to a server has it with CONNECT only");
    }

    #[test]
    fn a_key_is_answered_as_in_rfc_6455() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap();
        let accept = accept(&[(SEC_WEBSOCKET_KEY, key)].into_iter().collect()).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let good = accept.to_str().unwrap();
        for (fields, accepted) in [
            (&[("upgrade", "WebSocket"), ("sec-websocket-accept", good)][..], true),
            (&[("sec-websocket-accept", good)], false),
            (&[("upgrade", "websocket")], false),
            (&[("upgrade", "other"), ("sec-websocket-accept", good)], false),
            (&[("upgrade", "websocket"), ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=")], false),
            (
                &[("upgrade", "websocket"), ("sec-websocket-accept", good), ("sec-websocket-accept", "x")],
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
            }
            assert_eq!(is_accepted(&headers, &accept), accepted, "{fields:?}");
        }
    }

    #[test]
    fn only_a_tunnel_is_answered_with_success() {
        for (status, told) in [(101, Ok(200)), (200, Err(())), (204, Err(())), (304, Ok(304)), (403, Ok(403))]
        {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
                response.headers_mut().insert(name, HeaderValue::from_static("x"));
            }
            let answer = answer(response);
            assert_eq!(answer.as_ref().map(|it| it.status().as_u16()).map_err(|_| ()), told, "{status}");
            if status == 101 {
                assert!(answer.unwrap().headers().is_empty());
            }
        }
    }
}
