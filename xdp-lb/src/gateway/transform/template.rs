use std::borrow::Cow;

use http::StatusCode;
use http::request::Parts;

use super::escape::{self, Escape, encode_segments};
use super::query;
use crate::config::gateway::{Template, TemplatePart};
use crate::gateway::Exchange;

/// What a template's places are filled in from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What was decided of the request.
    pub exchange: &'a Exchange,
    /// The request's head: its headers and its query.
    pub head: &'a Parts,
    /// What follows the route's prefix, as sent.
    pub rest: &'a str,
    /// The answer's status, of answers only.
    pub status: Option<StatusCode>,
}

/// The template filled in. What there is none of, as a header that was not sent, is empty.
pub fn render(template: &Template, context: &Context<'_>, escape: Escape) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for part in &template.parts {
        if let TemplatePart::Text(text) = part {
            out.push_str(text);
            if escape == Escape::JsonText {
                quoted = ends_quoted(text, quoted);
            }
            continue;
        }
        let value = value(part, context);
        if escape == Escape::JsonText && !quoted {
            push_json_value(&mut out, part, &value, context);
        } else if escape == Escape::Path && is_parameter(part) {
            out.extend(encode_segments(&value));
        } else {
            escape::push(&mut out, &value, escape, is_encoded(part));
        }
    }
    out
}

/// A template that is looked at once: where it has no places there is nothing to fill in.
#[derive(Clone, Debug)]
pub struct Compiled(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Constant(String),
    Places(Template),
}

impl Compiled {
    /// Of this one.
    pub fn new(template: &Template) -> Self {
        let text =
            |part: &TemplatePart| if let TemplatePart::Text(text) = part { Some(text.clone()) } else { None };
        let constant = template.parts.iter().map(text).collect::<Option<String>>();
        Self(constant.map_or_else(|| Kind::Places(template.clone()), Kind::Constant))
    }

    /// What it always is, if it has no places.
    pub fn constant(&self) -> Option<&str> {
        if let Kind::Constant(text) = &self.0 { Some(text) } else { None }
    }

    /// Filled in.
    pub fn render(&self, context: &Context<'_>, escape: Escape) -> Cow<'_, str> {
        match &self.0 {
            Kind::Constant(text) => Cow::Borrowed(text),
            Kind::Places(template) => Cow::Owned(render(template, context, escape)),
        }
    }

    /// Whether one of its places is this.
    pub(super) fn has(&self, part: &TemplatePart) -> bool {
        matches!(&self.0, Kind::Places(template) if template.parts.contains(part))
    }

    /// Whether the request's head is needed to fill it in.
    pub(super) fn needs_head(&self) -> bool {
        let of_head = |part: &TemplatePart| {
            matches!(part, TemplatePart::Query | TemplatePart::QueryParameter(_) | TemplatePart::Header(_))
        };
        matches!(&self.0, Kind::Places(template) if template.parts.iter().any(of_head))
    }
}

/// What a place is filled in with.
pub(super) fn value<'a>(part: &'a TemplatePart, context: &Context<'a>) -> Cow<'a, str> {
    let exchange = context.exchange;
    match part {
        TemplatePart::Text(text) => text.into(),
        TemplatePart::Host => (&*exchange.host).into(),
        TemplatePart::Path => (&*exchange.path).into(),
        TemplatePart::Query => {
            context.head.uri.query().map_or(Cow::Borrowed(""), |query| format!("?{query}").into())
        }
        TemplatePart::Rest => context.rest.into(),
        TemplatePart::Method => exchange.method.as_str().into(),
        TemplatePart::Client => exchange.client.to_string().into(),
        TemplatePart::RequestId => exchange.id.as_str().into(),
        TemplatePart::Identity => {
            exchange.identity.as_ref().map_or(Cow::Borrowed(""), |identity| (&*identity.subject).into())
        }
        TemplatePart::Header(name) => {
            let value = context.head.headers.get(name);
            value.map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()))
        }
        TemplatePart::QueryParameter(name) => {
            let value = query::values(context.head.uri.query().unwrap_or_default(), name).next();
            value.map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(&value).into_owned().into())
        }
        TemplatePart::Claim(name) => match claim(name, context) {
            None => Cow::Borrowed(""),
            Some(serde_json::Value::String(text)) => text.into(),
            Some(other) => other.to_string().into(),
        },
        TemplatePart::PathParameter(name) => {
            let value = exchange.parameters.iter().find(|(one, _)| **one == **name);
            value.map_or(Cow::Borrowed(""), |(_, value)| (&**value).into())
        }
        TemplatePart::Status => {
            context.status.map_or(Cow::Borrowed(""), |status| status.as_str().to_owned().into())
        }
    }
}

fn claim<'a>(name: &str, context: &Context<'a>) -> Option<&'a serde_json::Value> {
    context.exchange.identity.as_ref()?.claims.get(name)
}

/// Whether the place's value is part of a path as it was sent, and so encoded already.
pub(super) fn is_encoded(part: &TemplatePart) -> bool {
    matches!(part, TemplatePart::Path | TemplatePart::Rest)
}

/// Whether the place's value is of the path, decoded.
pub(super) fn is_parameter(part: &TemplatePart) -> bool {
    matches!(part, TemplatePart::PathParameter(_))
}

/// Whether a text of JSON ends within a string, if it began so.
fn ends_quoted(text: &str, mut quoted: bool) -> bool {
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// A value that stands by itself in a text of JSON.
fn push_json_value(out: &mut String, part: &TemplatePart, value: &str, context: &Context<'_>) {
    if let TemplatePart::Claim(name) = part
        && let Some(claim) = claim(name, context)
    {
        out.push_str(&claim.to_string());
        return;
    }
    let scalar = serde_json::from_str::<serde_json::Value>(value)
        .is_ok_and(|json| json.is_number() || json.is_boolean() || json.is_null());
    if scalar {
        out.push_str(value.trim_ascii());
    } else {
        out.push('"');
        escape::push(out, value, Escape::Json, false);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, template};
    use super::*;

    #[test]
    fn each_place_has_its_value() {
        let mut exchange = testing::exchange("GET", "shop.test", "/v1/books/7");
        exchange.parameters.push(("id".into(), "7 \"x\"".into()));
        exchange.identity =
            Some(testing::identity("ann", serde_json::json!({"org": "o1", "roles": ["a"], "n": 5})));
        let head = testing::head("GET", "/v1/books/7?q=a%20b&q=c&r", &[("x-a", "one"), ("x-a", "two")]);
        let status = Some(StatusCode::NOT_FOUND);
        let context = Context { exchange: &exchange, head: &head, rest: "/books/7", status };
        for (text, expected) in [
            ("plain", "plain"),
            ("{host}|{path}|{query}", "shop.test|/v1/books/7|?q=a%20b&q=c&r"),
            ("{rest} {method} {client} {request_id}", "/books/7 GET 198.51.100.7 id-1"),
            ("{identity} {claim:org} {claim:roles} {claim:n} {claim:none}", "ann o1 [\"a\"] 5 "),
            ("{header:x-a}{header:x-b} {query:q} {query:r}{query:s}", "one a b "),
            ("{param:id}{param:other} {status}", "7 \"x\" 404"),
        ] {
            let template = template(text);
            assert_eq!(render(&template, &context, Escape::None), expected);
            let compiled = Compiled::new(&template);
            assert_eq!(compiled.render(&context, Escape::None), expected);
            assert_eq!(compiled.constant().is_some(), text == "plain");
        }
    }

    #[test]
    fn a_value_adds_nothing_to_json() {
        let evil = "1,\"admin\":true,\"x\":\"";
        let mut exchange = testing::exchange("GET", "shop.test", "/");
        for (name, value) in
            [("evil", evil), ("n", " -1.5e3\n"), ("null", "null"), ("list", "[1]"), ("two", "1,2")]
        {
            exchange.parameters.push((name.into(), value.into()));
        }
        exchange.identity =
            Some(testing::identity("ann", serde_json::json!({"roles": ["a"], "org": "\"o\""})));
        let head = testing::head("GET", "/", &[]);
        let context = Context { exchange: &exchange, head: &head, rest: "", status: Some(StatusCode::OK) };
        for (text, expected) in [
            (r#"{"a":"{param:evil}"}"#, serde_json::json!({"a": evil})),
            (r#"{"a":{param:evil}}"#, serde_json::json!({"a": evil})),
            (
                r#"{"a":"\"{param:evil}","b":{status}}"#,
                serde_json::json!({"a": format!("\"{evil}"), "b": 200}),
            ),
            (r#"{"a":"\\{param:n}"}"#, serde_json::json!({"a": "\\ -1.5e3\n"})),
            (
                r#"[{param:n},{param:null},{param:list},{param:two}]"#,
                serde_json::json!([-1500.0, null, "[1]", "1,2"]),
            ),
            (
                r#"{"a":{claim:roles},"b":{claim:org},"c":"{claim:roles}"}"#,
                serde_json::json!({"a": ["a"], "b": "\"o\"", "c": "[\"a\"]"}),
            ),
        ] {
            let json = render(&template(text), &context, Escape::JsonText);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected, "{text}: {json}");
        }
    }
}
