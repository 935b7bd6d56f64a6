//! Applies a transform to a value. What a pointer names and is not there is left alone.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::config::gateway::{BodyTransform, SetValue, Template};

/// Drops, then renames, then sets.
///
/// - Dropping an element of an array moves those behind it up.
/// - A field renamed keeps its place; one that had the new name already is replaced by it.
/// - Setting makes the objects that are missing on the way, also in place of null, but puts nothing below other values;
///   `-` is the place behind an array's last element.
pub fn apply(transform: &BodyTransform, value: &mut Value, render: &dyn Fn(&Template) -> String) {
    for pointer in &transform.drop {
        at_parents(value, pointer, false, &mut drop_field);
    }
    for (pointer, name) in &transform.rename {
        at_parents(value, pointer, false, &mut |parent, last| rename_field(parent, last, name));
    }
    for (pointer, set) in &transform.set {
        let new = match set {
            SetValue::Text(template) => Value::String(render(template)),
            SetValue::Json(json) => json.clone(),
        };
        if pointer.is_empty() {
            *value = new;
        } else {
            at_parents(value, pointer, true, &mut |parent, last| set_field(parent, last, &new));
        }
    }
}

/// Calls for each value that holds, or is to hold, what a pointer names, with the pointer's last segment.
fn at_parents(value: &mut Value, pointer: &str, make: bool, act: &mut dyn FnMut(&mut Value, &str)) {
    let Some(way) = pointer.strip_prefix('/') else {
        return;
    };
    let Some((segment, _)) = way.split_once('/') else {
        return act(value, &unescaped(way));
    };
    let rest = &way[segment.len()..];
    if segment == "*" {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| at_parents(value, rest, make, act)),
            Value::Object(map) => map.values_mut().for_each(|value| at_parents(value, rest, make, act)),
            _ => {}
        }
        return;
    }
    let segment = unescaped(segment);
    if make && value.is_null() {
        *value = Value::Object(Map::new());
    }
    let next = match value {
        Value::Array(values) => index(&segment).and_then(|index| values.get_mut(index)),
        Value::Object(map) if make => Some(map.entry(segment.into_owned()).or_insert(Value::Null)),
        Value::Object(map) => map.get_mut(&*segment),
        _ => None,
    };
    if let Some(next) = next {
        at_parents(next, rest, make, act);
    }
}

fn drop_field(parent: &mut Value, last: &str) {
    match parent {
        Value::Object(map) if last == "*" => map.clear(),
        Value::Array(values) if last == "*" => values.clear(),
        // The plain `remove` would move the last field here.
        Value::Object(map) => _ = map.shift_remove(last),
        Value::Array(values) => {
            if let Some(index) = index(last).filter(|&index| index < values.len()) {
                values.remove(index);
            }
        }
        _ => {}
    }
}

fn rename_field(parent: &mut Value, last: &str, name: &str) {
    let Value::Object(map) = parent else {
        return;
    };
    if last == name || !map.contains_key(last) {
        return;
    }
    let fields = std::mem::take(map);
    for (field, value) in fields {
        if field == last {
            map.insert(name.to_owned(), value);
        } else if field != name {
            map.insert(field, value);
        }
    }
}

fn set_field(parent: &mut Value, last: &str, new: &Value) {
    if parent.is_null() && last != "*" {
        *parent = Value::Object(Map::new());
    }
    match parent {
        Value::Object(map) if last == "*" => map.values_mut().for_each(|value| *value = new.clone()),
        Value::Array(values) if last == "*" => values.fill(new.clone()),
        Value::Object(map) => _ = map.insert(last.to_owned(), new.clone()),
        Value::Array(values) if last == "-" => values.push(new.clone()),
        Value::Array(values) => {
            if let Some(value) = index(last).and_then(|index| values.get_mut(index)) {
                *value = new.clone();
            }
        }
        _ => {}
    }
}

/// RFC 6901, section 4: `~1` first.
fn unescaped(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') { segment.replace("~1", "/").replace("~0", "~").into() } else { segment.into() }
}

/// An element's number: digits only, without zeros before it.
fn index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    (digits && (segment == "0" || !segment.starts_with('0'))).then(|| segment.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::gateway::TemplatePart;

    fn transform(drop: &[&str], rename: &[(&str, &str)], set: &[(&str, SetValue)]) -> BodyTransform {
        BodyTransform {
            drop: drop.iter().map(|&pointer| pointer.to_owned()).collect(),
            rename: rename.iter().map(|&(pointer, name)| (pointer.to_owned(), name.to_owned())).collect(),
            set: set.iter().map(|(pointer, value)| ((*pointer).to_owned(), value.clone())).collect(),
            most_bytes: 1 << 20,
        }
    }

    fn text() -> SetValue {
        SetValue::Text(Template { parts: vec![TemplatePart::Host] })
    }

    #[test]
    fn fields_are_dropped_renamed_and_set_in_order() {
        let one = || SetValue::Json(json!(1));
        for (name, change, before, after) in [
            ("drop", transform(&["/a", "/none"], &[], &[]), r#"{"z":1,"a":2,"b":3}"#, r#"{"z":1,"b":3}"#),
            (
                "drop in all",
                transform(&["/*/a"], &[], &[]),
                r#"[{"a":1,"b":2},3,{"a":4}]"#,
                r#"[{"b":2},3,{}]"#,
            ),
            ("drop an element", transform(&["/a/1"], &[], &[]), r#"{"a":[1,2,3]}"#, r#"{"a":[1,3]}"#),
            ("drop all elements", transform(&["/a/*"], &[], &[]), r#"{"a":[1,2]}"#, r#"{"a":[]}"#),
            (
                "drop past the end",
                transform(&["/a/2", "/a/01", "/a/-"], &[], &[]),
                r#"{"a":[1,2]}"#,
                r#"{"a":[1,2]}"#,
            ),
            (
                "escaped",
                transform(&["/a~1b/~0", "/~01"], &[], &[]),
                r#"{"a/b":{"~":1},"~1":2}"#,
                r#"{"a/b":{}}"#,
            ),
            ("the whole", transform(&[""], &[], &[]), "{}", "{}"),
            (
                "rename",
                transform(&[], &[("/a", "x")], &[]),
                r#"{"z":1,"a":2,"b":3}"#,
                r#"{"z":1,"x":2,"b":3}"#,
            ),
            (
                "rename over",
                transform(&[], &[("/a", "b")], &[]),
                r#"{"b":1,"a":2,"c":3}"#,
                r#"{"b":2,"c":3}"#,
            ),
            (
                "rename in all",
                transform(&[], &[("/*/*/a", "b")], &[]),
                r#"{"x":[{"a":1}]}"#,
                r#"{"x":[{"b":1}]}"#,
            ),
            (
                "rename what is missing",
                transform(&[], &[("/a/b", "c"), ("/x", "y")], &[]),
                r#"{"a":1}"#,
                r#"{"a":1}"#,
            ),
            (
                "set",
                transform(&[], &[], &[("/a", text()), ("/b", one())]),
                r#"{"a":{}}"#,
                r#"{"a":"text","b":1}"#,
            ),
            (
                "set deep",
                transform(&[], &[], &[("/a/b/c", one())]),
                r#"{"a":null}"#,
                r#"{"a":{"b":{"c":1}}}"#,
            ),
            ("set below a number", transform(&[], &[], &[("/a/b", one())]), r#"{"a":5}"#, r#"{"a":5}"#),
            (
                "set elements",
                transform(&[], &[], &[("/a/0", one()), ("/a/-", one()), ("/a/9", one())]),
                r#"{"a":[0]}"#,
                r#"{"a":[1,1]}"#,
            ),
            (
                "set in all",
                transform(&[], &[], &[("/*/a", one())]),
                r#"[{},{"a":2},null,3]"#,
                r#"[{"a":1},{"a":1},{"a":1},3]"#,
            ),
            ("set the whole", transform(&[], &[], &[("", one())]), "{}", "1"),
            (
                "one after the other",
                transform(&["/a"], &[("/b", "a")], &[("/b", one())]),
                r#"{"a":1,"b":2}"#,
                r#"{"a":2,"b":1}"#,
            ),
        ] {
            let mut value: Value = serde_json::from_str(before).unwrap();
            apply(&change, &mut value, &|_| "text".to_owned());
            assert_eq!(value.to_string(), after, "{name}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-c~/*-]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c~/*0-]{0,2}", inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_panics_and_what_is_dropped_is_gone(
            mut value in any_json(),
            dropped in "(/[a-c~01*-]{0,2}){0,4}|[a-c]{0,2}",
            renamed in "(/[a-c~01*-]{0,2}){0,4}",
            set in "(/[a-c~01*-]{0,2}){0,4}",
        ) {
            let drops = transform(&[&dropped], &[], &[]);
            apply(&drops, &mut value, &|_| String::new());
            let gone = value.clone();
            if !dropped.contains(['*', '0', '1', '-']) && !dropped.is_empty() {
                prop_assert_eq!(gone.pointer(&dropped), None);
            }
            apply(&transform(&[], &[(&renamed, "a")], &[(&set, text())]), &mut value, &|_| "text".to_owned());
            prop_assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok());
        }
    }
}
