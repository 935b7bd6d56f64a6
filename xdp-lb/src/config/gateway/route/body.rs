//! `[route.request.body]` and `[route.response.body]`: changes of JSON.

use serde_json::Value;
use toml::de::DeValue;

use super::changes::{REQUEST, RESPONSE};
use crate::config::gateway::model::{BodyTransform, SetValue};
use crate::config::gateway::rules::{bytes32, pointer, set};
use crate::config::gateway::template::{Scope, Use, template};
use crate::config::rules::{Refusal, Rule};
use crate::config::section::{Schema, Section};

const KEYS: &[&str] = &["drop", "rename", "set", "most_bytes"];

const REFUSED: &[(&str, &str)] = &[("remove", "unknown key: of bodies it is called `drop`")];

const REQUEST_BODY: Schema =
    Schema { header: "[route.request.body]", keys: KEYS, refused: REFUSED, outer: Some(&REQUEST) };

const RESPONSE_BODY: Schema =
    Schema { header: "[route.response.body]", keys: KEYS, refused: REFUSED, outer: Some(&RESPONSE) };

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 2] = [(&REQUEST_BODY, &[]), (&RESPONSE_BODY, &[])];

/// Changes of a body: `Some(None)` where the table is left out, `None` when something in it is wrong.
pub(super) fn body(changes: &Section<'_>, of_answer: bool, scope: &Scope) -> Option<Option<BodyTransform>> {
    let table = changes.table("body", if of_answer { &RESPONSE_BODY } else { &REQUEST_BODY });
    if !table.is_given() {
        return Some(None);
    }
    let expected = "a list of up to 256 JSON pointers, as [\"/internal\"]";
    let drop = set(&table, "drop", expected, 0..=256, pointer(), Vec::new());
    let new_name = Rule::string("the field's new name, of 1 to 256 bytes", |text| {
        if text.starts_with('/') {
            return Err(Refusal::Hint(
                "a field is renamed where it is: write its last name alone".to_owned(),
            ));
        }
        if (1..=256).contains(&text.len()) { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    });
    let renamed = table.entries("rename", "{ \"/user/id\" = \"user_id\" }", &pointer(), &new_name);
    for (pointer, _) in &renamed {
        if pointer.value.as_ref().is_some_and(|pointer| pointer.ends_with("/*")) {
            table
                .source()
                .report(&pointer.place, "the elements of a list have no names: name a field of theirs");
        }
    }
    let set = table.entries("set", "{ \"/user/id\" = \"{identity}\" }", &pointer(), &value(scope));
    let most_bytes = table.or("most_bytes", bytes32(1..=64 << 20), 1 << 20);
    if !["drop", "rename", "set"].into_iter().any(|key| table.has(key)) {
        table.missing("set", "one of `drop`, `rename` and `set`, or no such table");
    }
    let rename: Option<_> = renamed.into_iter().map(|(at, name)| Some((at.value?, name.value?))).collect();
    let set: Option<_> = set.into_iter().map(|(at, value)| Some((at.value?, value.value?))).collect();
    Some(Some(BodyTransform { drop: drop?, rename: rename?, set: set?, most_bytes: most_bytes.value? }))
}

fn value(scope: &Scope) -> Rule<'_, SetValue> {
    let text = template(Use::Body, scope);
    Rule::new(
        "a text with places as {identity}, and {{ for a brace, or any value that JSON has",
        move |value| match value {
            DeValue::String(_) => (text.read)(value).map(SetValue::Text),
            other => json(other).map(SetValue::Json),
        },
    )
}

/// Texts within it are as they are.
fn json(value: &DeValue<'_>) -> Result<Value, Refusal> {
    match value {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| Refusal::Unexpected),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or(Refusal::Unexpected)
        }
        DeValue::Datetime(_) => Err(Refusal::Hint("JSON has no dates: write it in quotes".to_owned())),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?))).collect()
        }
    }
}
