//! A second method, in a header.

use http::{HeaderMap, HeaderName, Method};

use crate::gateway::{Reason, Refusal};

/// Headers by which servers may be told to take another method than the request's.
const NAMES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// Refuses a request that asks for another method than its own.
///
/// It is not taken off instead: the server would then do what nobody asked for, a POST where a DELETE was meant.
pub fn check_method_override(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let differs = |value: &[u8]| !value.trim_ascii().eq_ignore_ascii_case(method.as_str().as_bytes());
    match headers.iter().find(|(name, value)| is_override(name) && differs(value.as_bytes())) {
        None => Ok(()),
        Some((name, _)) => {
            let detail = "a header asks for another method than the request's: send that method";
            Err(Refusal::new(Reason::MethodOverride, detail).because(name))
        }
    }
}

/// Servers that make variables of headers take `_` for `-`.
fn is_override(name: &HeaderName) -> bool {
    let name = name.as_str();
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    NAMES.iter().any(|own| own.len() == name.len() && own.bytes().eq(name.bytes().map(dashed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::transform::testing::head;

    #[test]
    fn a_request_has_one_method() {
        for (headers, passes) in [
            (&[][..], true),
            (&[("x-http-method-override", "DELETE")], false),
            (&[("x-http-method", "DELETE")], false),
            (&[("x-method-override", "delete")], false),
            (&[("x_http_method-override", "DELETE")], false),
            (&[("x-http-method-override", " post ")], true),
            (&[("x-http-method-override", "POST"), ("x-http-method-override", "PUT")], false),
            (&[("x-http-method-override", "POST, PUT")], false),
            (&[("x-http-method-override", "")], false),
            (&[("x-http-methods", "DELETE"), ("method-override", "DELETE")], true),
        ] {
            let head = head("POST", "/", headers);
            let checked = check_method_override(&head.method, &head.headers);
            assert_eq!(checked.map_err(|refusal| refusal.reason).is_ok(), passes, "{headers:?}");
        }
    }
}
