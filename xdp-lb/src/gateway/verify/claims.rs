use serde_json::Value;

use crate::config::gateway::ClaimTest;

/// A claim by its name; a name that begins with `/` is a JSON pointer (RFC 6901) to one within another, as
/// `/realm_access/roles`.
pub fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| if name.starts_with('/') { claims.pointer(name) } else { None })
}

/// Name of the first claim that is not as it has to be.
pub(super) fn unmet<'a>(tests: &'a [(String, ClaimTest)], claims: &Value) -> Option<&'a str> {
    let met = |(name, test): &&(String, ClaimTest)| match (claim(claims, name), test) {
        (None | Some(Value::Null), _) => false,
        (Some(_), ClaimTest::Present) => true,
        (Some(value), ClaimTest::OneOf(allowed)) => allowed.iter().any(|allowed| holds(value, allowed)),
    };
    tests.iter().find(|test| !met(test)).map(|(name, _)| name.as_str())
}

/// Whether a claim is this, or a list or a string of words with this in it.
fn holds(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(string) => string == wanted || string.split(' ').any(|word| word == wanted),
        Value::Array(items) => {
            items.iter().any(|item| item.as_str().map_or_else(|| is(item, wanted), |s| s == wanted))
        }
        other => is(other, wanted),
    }
}

/// Whether a number or a truth value is this.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        Value::Number(value) => value.to_string() == wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_tested() {
        let claims = json!({
            "scope": "read write", "roles": ["ops", 7], "level": 3, "admin": true, "none": null,
            "realm": {"roles": ["a b"]}, "https://example.com/tier": "gold", "empty": ""
        });
        let one_of = |words: &[&str]| ClaimTest::OneOf(words.iter().map(ToString::to_string).collect());
        for (name, test, met) in [
            ("scope", ClaimTest::Present, true),
            ("scope", one_of(&["write"]), true),
            ("scope", one_of(&["read write"]), true),
            ("scope", one_of(&["admin", "read"]), true),
            ("scope", one_of(&["rea"]), false),
            ("roles", one_of(&["ops"]), true),
            ("roles", one_of(&["7"]), true),
            ("roles", one_of(&["op"]), false),
            ("level", one_of(&["3"]), true),
            ("admin", one_of(&["true"]), true),
            ("admin", one_of(&["false"]), false),
            ("none", ClaimTest::Present, false),
            ("absent", ClaimTest::Present, false),
            ("absent", one_of(&[""]), false),
            ("/realm/roles", one_of(&["a b"]), true),
            ("/realm/roles", one_of(&["a"]), false),
            ("https://example.com/tier", one_of(&["gold"]), true),
            ("empty", one_of(&[""]), true),
        ] {
            let tests = [(name.to_owned(), test)];
            assert_eq!(unmet(&tests, &claims).is_none(), met, "{tests:?}");
            assert_eq!(unmet(&tests, &Value::Null), Some(name));
        }
    }
}
