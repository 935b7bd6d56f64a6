//! Which requests may be sent again.

use http::Method;

/// Whether doing it twice is as good as once: RFC 9110, section 9.2.2. A method that is not known is taken not to be.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_done_twice() {
        for (method, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("PUT", true),
            ("DELETE", true),
            ("OPTIONS", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("PURGE", false),
            ("get", false),
        ] {
            assert_eq!(is_idempotent(&method.parse().unwrap()), expected, "{method}");
        }
    }
}
