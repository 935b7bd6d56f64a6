//! Names of requests, by which the logs of both sides are put together.

use http::{HeaderMap, HeaderValue};

use crate::config::gateway::Gateway;
use crate::gateway::RequestId;

/// The request's name: a trusted sender's, if it gave one that is short and plain; else a new one.
pub fn of(gateway: &Gateway, trusted: bool, headers: &HeaderMap) -> RequestId {
    let mut given = headers.get_all(&gateway.request_id_header).iter().filter(|_| trusted);
    match (given.next(), given.next()) {
        (Some(id), None) if is_plain(id.as_bytes()) => RequestId(id.clone()),
        _ => fresh(),
    }
}

/// Safe in any log, header, file name and URL.
fn is_plain(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:+/=@".contains(byte))
}

/// 32 hexadecimal digits by chance. Nobody has to be unable to guess them.
fn fresh() -> RequestId {
    let number = fastrand::u128(..);
    let mut digits = [0; 32];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * place)) as usize & 15];
    }
    // Digits are a header's value.
    RequestId(HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("0")))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::config::gateway::Forwarded;

    #[test]
    fn only_a_trusted_senders_plain_name_is_taken() {
        let gateway = testing::gateway(&[], Forwarded::X);
        let long = "a".repeat(129);
        for (trusted, given, taken) in [
            (true, &["abc-1._~:+/=@Z"][..], true),
            (true, &[&long[..128]], true),
            (false, &["abc"], false),
            (true, &[&long], false),
            (true, &[""], false),
            (true, &["a b"], false),
            (true, &["a\"b"], false),
            (true, &["a\\b"], false),
            (true, &["ü"], false),
            (true, &["a", "b"], false),
            (true, &[], false),
        ] {
            let headers: Vec<_> = given.iter().map(|id| ("x-request-id", *id)).collect();
            let id = of(&gateway, trusted, &testing::head("GET", "/", &headers).headers);
            assert_eq!(given.contains(&id.as_str()), taken, "{given:?}");
            if !taken {
                assert_eq!(id.as_str().len(), 32);
                assert!(
                    id.as_str().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                );
                assert_ne!(fresh(), id);
            }
        }
    }
}
