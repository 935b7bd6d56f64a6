//! Texts with places that are filled in for each request: parsed, and compared with what there is to fill in.

use http::HeaderValue;

use super::model::{Template, TemplatePart};
use super::rules::{claim_name, header_name};
use crate::config::rules::{Refusal, Rule};
use crate::config::similar::similar;

/// What a route has to fill in.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Parameters of its path; `None` when the path is wrong, which is reported already.
    pub parameters: Option<Vec<String>>,
    /// Whether its path is a prefix, after which something may follow.
    pub has_rest: bool,
    /// Whether somebody says who asks; true where that is not known.
    pub has_identity: bool,
    /// Whether a token may be verified; true where that is not known.
    pub has_claims: bool,
    /// Whether there is an answer yet.
    pub is_answer: bool,
}

/// What a template becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A body, or a string in one.
    Body,
    /// A header's value.
    Header,
    /// A parameter's value in a query, where it is escaped.
    Query,
    /// A path.
    Path,
    /// A host.
    Host,
    /// Where a redirect leads to.
    Location,
}

impl Use {
    fn expected(self) -> &'static str {
        match self {
            Self::Body => "a text of at most 64 KiB with places as {path}, and {{ for a brace",
            Self::Header => "a header's value with places as {client}, and {{ for a brace",
            Self::Query => "a text with places as {client}, and {{ for a brace",
            Self::Path => "a path that begins with '/', with places as {param:id}, and {{ for a brace",
            Self::Host => "a host with a port where wanted, with places as {host}",
            Self::Location => {
                "a path or an address with http:// or https://, with places as {path}, and {{ for a brace"
            }
        }
    }

    fn longest(self) -> usize {
        if self == Self::Body { 64 << 10 } else { 4_096 }
    }

    /// Whether the text between places is possible there.
    fn takes(self, text: &str) -> bool {
        match self {
            Self::Body | Self::Query => true,
            Self::Header => HeaderValue::from_str(text).is_ok(),
            Self::Path => text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)),
            Self::Host => text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)),
            Self::Location => text.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }

    /// Whether it can begin so.
    fn may_begin(self, first: Option<&TemplatePart>) -> bool {
        match (self, first) {
            (Self::Body | Self::Header | Self::Query, _) => true,
            (_, None) => false,
            (Self::Host, _) => true,
            (Self::Path, Some(TemplatePart::Text(text))) => text.starts_with('/'),
            // `//` is the beginning of an address of whoever wrote what follows.
            (Self::Location, Some(TemplatePart::Text(text))) => {
                text.starts_with('/') && !text.starts_with("//")
                    || ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
            }
            (Self::Path | Self::Location, Some(first)) => *first == TemplatePart::Path,
        }
    }
}

/// A template that a route with this scope can fill in.
pub(super) fn template(to: Use, scope: &Scope) -> Rule<'_, Template> {
    Rule::string(to.expected(), move |text| {
        if text.len() > to.longest() {
            return Err(Refusal::Unexpected);
        }
        let parts = parse(text, scope).map_err(Refusal::Hint)?;
        let takes = parts.iter().all(|part| !matches!(part, TemplatePart::Text(text) if !to.takes(text)));
        let dots = to == Use::Path && text.split('/').any(|segment| [".", ".."].contains(&segment));
        if dots {
            return Err(Refusal::Hint("no request has a '.' or '..' segment in its path".to_owned()));
        }
        if takes && to.may_begin(parts.first()) { Ok(Template { parts }) } else { Err(Refusal::Unexpected) }
    })
}

fn parse(mut text: &str, scope: &Scope) -> Result<Vec<TemplatePart>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    while let Some(at) = text.find('{') {
        let (before, from) = text.split_at(at);
        plain.push_str(before);
        if let Some(rest) = from.strip_prefix("{{") {
            plain.push('{');
            text = rest;
            continue;
        }
        let end = from.find('}').ok_or_else(|| "a place is not closed: write {{ for a brace".to_owned())?;
        let place = place(from.get(1..end).unwrap_or_default(), scope)?;
        if !plain.is_empty() {
            parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
        }
        parts.push(place);
        text = from.get(end + 1..).unwrap_or_default();
    }
    plain.push_str(text);
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(parts)
}

/// The place of this name, if there is something to fill it in.
fn place(name: &str, scope: &Scope) -> Result<TemplatePart, String> {
    let part = match name.split_once(':') {
        None => PLAIN.iter().find(|(known, _)| *known == name).map(|(_, part)| part.clone()),
        Some(("header", header)) => header_name(header).map(TemplatePart::Header),
        Some(("query", parameter)) if !parameter.is_empty() => {
            Some(TemplatePart::QueryParameter(parameter.to_owned()))
        }
        Some(("claim", claim)) => claim_name(claim).map(TemplatePart::Claim),
        Some(("param", parameter)) => Some(TemplatePart::PathParameter(parameter.to_owned())),
        Some(_) => None,
    };
    let part = part.ok_or_else(|| unknown(name, scope))?;
    let shown = shown(name);
    match &part {
        TemplatePart::Status if !scope.is_answer => Err("{status} is known in answers only".to_owned()),
        TemplatePart::Rest if !scope.has_rest => {
            Err("{rest} is what follows a route's `prefix`, and this route has none".to_owned())
        }
        TemplatePart::Identity if !scope.has_identity => {
            Err("{identity} is known where access.any_of or access.external say who asks".to_owned())
        }
        TemplatePart::Claim(_) if !scope.has_claims => {
            Err(format!("{{{shown}}} is known where access.any_of has a verifier of tokens"))
        }
        TemplatePart::PathParameter(parameter) => match &scope.parameters {
            Some(known) if !known.contains(parameter) => Err(if known.is_empty() {
                format!("{{{shown}}} is a parameter of the route's `path`, which has none")
            } else {
                format!("the route's path has no {{{shown}}}, but {{param:{}}}", known.join("}, {param:"))
            }),
            _ => Ok(part),
        },
        _ => Ok(part),
    }
}

fn unknown(name: &str, scope: &Scope) -> String {
    let shown = shown(name);
    if scope.parameters.iter().flatten().any(|parameter| parameter == name) {
        return format!("write {{param:{shown}}}");
    }
    let known = PLAIN.iter().map(|(known, _)| *known).chain(["header", "query", "claim", "param"]);
    match similar(name.split(':').next().unwrap_or(name), known) {
        Some(kind @ ("header" | "claim" | "param")) => {
            format!("{{{shown}}} is no place: write {{{kind}:NAME}}")
        }
        Some(meant) if meant != name => format!("{{{shown}}} is no place: did you mean {{{meant}}}?"),
        _ => format!("{{{shown}}} is no place: write {{{{ for a brace"),
    }
}

/// A place's name for a message of one line.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

const PLAIN: [(&str, TemplatePart); 9] = [
    ("host", TemplatePart::Host),
    ("path", TemplatePart::Path),
    ("query", TemplatePart::Query),
    ("rest", TemplatePart::Rest),
    ("method", TemplatePart::Method),
    ("client", TemplatePart::Client),
    ("request_id", TemplatePart::RequestId),
    ("identity", TemplatePart::Identity),
    ("status", TemplatePart::Status),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            parameters: Some(vec!["id".to_owned()]),
            has_rest: true,
            has_identity: true,
            has_claims: true,
            is_answer: true,
        }
    }

    #[test]
    fn places_are_told_from_text() {
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        for (template, expected) in [
            ("", vec![]),
            ("plain } text", vec![text("plain } text")]),
            ("{{\"a\": {{}}", vec![text("{\"a\": {}}")]),
            ("{host}{path}{query}", vec![TemplatePart::Host, TemplatePart::Path, TemplatePart::Query]),
            ("a{param:id}b", vec![text("a"), TemplatePart::PathParameter("id".to_owned()), text("b")]),
            ("{header:X-A}", vec![TemplatePart::Header(http::HeaderName::from_static("x-a"))]),
            ("{query:a b}", vec![TemplatePart::QueryParameter("a b".to_owned())]),
            ("{claim:https://a/b}", vec![TemplatePart::Claim("https://a/b".to_owned())]),
            ("{{{status}}", vec![text("{"), TemplatePart::Status, text("}")]),
        ] {
            assert_eq!(parse(template, &scope()), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        let bare = Scope {
            parameters: Some(Vec::new()),
            has_rest: false,
            has_identity: false,
            has_claims: false,
            is_answer: false,
        };
        for (template, expected) in [
            ("{", "a place is not closed: write {{ for a brace"),
            ("{}", "{} is no place: write {{ for a brace"),
            ("{pth}", "{pth} is no place: did you mean {path}?"),
            ("{header}", "{header} is no place: write {header:NAME}"),
            ("{header:a b}", "{header:a b} is no place: write {header:NAME}"),
            ("{rest}", "{rest} is what follows a route's `prefix`, and this route has none"),
            ("{status}", "{status} is known in answers only"),
            ("{identity}", "{identity} is known where access.any_of or access.external say who asks"),
            ("{claim:sub}", "{claim:sub} is known where access.any_of has a verifier of tokens"),
            ("{param:id}", "{param:id} is a parameter of the route's `path`, which has none"),
        ] {
            assert_eq!(parse(template, &bare), Err(expected.to_owned()), "{template}");
        }
        assert_eq!(parse("{id}", &scope()), Err("write {param:id}".to_owned()));
        let said = "the route's path has no {param:x}, but {param:id}";
        assert_eq!(parse("{param:x}", &scope()), Err(said.to_owned()));
    }

    #[test]
    fn a_template_fits_where_it_goes() {
        let scope = scope();
        for (to, text, fits) in [
            (Use::Header, "a\nb", false),
            (Use::Header, "", true),
            (Use::Body, "a\nb", true),
            (Use::Path, "/a/{param:id}", true),
            (Use::Path, "{path}/x", true),
            (Use::Path, "{header:x-a}", false),
            (Use::Path, "a", false),
            (Use::Path, "/a/../{param:id}", false),
            (Use::Path, "/a/.{param:id}", true),
            (Use::Path, "/a?b=c", false),
            (Use::Path, "", false),
            (Use::Host, "{param:id}.internal:80", true),
            (Use::Host, "a/b", false),
            (Use::Location, "https://{host}{path}{query}", true),
            (Use::Location, "//evil.example", false),
            (Use::Location, "{header:x-a}", false),
            (Use::Location, "ftp://a", false),
            (Use::Location, "/a b", false),
        ] {
            let rule = template(to, &scope);
            let read = (rule.read)(&toml::de::DeValue::String(text.into()));
            assert_eq!(read.is_ok(), fits, "{to:?} {text:?}");
        }
    }
}
