use std::time::{Duration, SystemTime};

use serde_json::Value;

/// Milliseconds since 1970.
pub(super) type Millis = u64;

pub(super) fn millis(time: SystemTime) -> Millis {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Whether now is within a token's time, and when it expires, both with leeway. A token without an end is refused: it
/// could never be taken back.
pub(super) fn check(claims: &Value, now: Millis, leeway: Duration) -> Result<Millis, &'static str> {
    let leeway = u64::try_from(leeway.as_millis()).unwrap_or(u64::MAX);
    let time = |name: &str, wrong: &'static str| match claims.get(name) {
        None => Ok(None),
        // What is negative is long past, and what is beyond u64 never comes: `as` saturates at both ends.
        Some(value) => value
            .as_f64()
            .filter(|time| time.is_finite())
            .map(|time| Some((time * 1000.0) as u64))
            .ok_or(wrong),
    };
    let expires = time("exp", "the token's exp is no number")?.ok_or("the token has no exp")?;
    let expires = expires.saturating_add(leeway);
    if now >= expires {
        return Err("the token has expired");
    }
    let latest = now.saturating_add(leeway);
    if time("nbf", "the token's nbf is no number")?.is_some_and(|from| from > latest) {
        return Err("the token is not valid yet");
    }
    if time("iat", "the token's iat is no number")?.is_some_and(|issued| issued > latest) {
        return Err("the token was issued in the future");
    }
    Ok(expires)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_bounds_with_leeway() {
        for (claims, good) in [
            (json!({"exp": 1001}), true),
            (json!({"exp": 1000}), true),
            (json!({"exp": 991}), true),
            (json!({"exp": 990}), false),
            (json!({"exp": 990.001}), true),
            (json!({"exp": 0}), false),
            (json!({"exp": -5}), false),
            (json!({"exp": 1e300}), true),
            (json!({"exp": "2000"}), false),
            (json!({"exp": null}), false),
            (json!({}), false),
            (json!({"exp": 2000, "nbf": 1010}), true),
            (json!({"exp": 2000, "nbf": 1011}), false),
            (json!({"exp": 2000, "nbf": "1"}), false),
            (json!({"exp": 2000, "iat": 1010}), true),
            (json!({"exp": 2000, "iat": 1011}), false),
            (json!({"exp": 2000, "iat": [1]}), false),
        ] {
            let result = check(&claims, 1_000_000, Duration::from_secs(10));
            assert_eq!(result.is_ok(), good, "{claims} {result:?}");
        }
        assert_eq!(check(&json!({"exp": 1001}), 1_000_000, Duration::from_secs(10)), Ok(1_011_000));
    }
}
