use http::{HeaderMap, HeaderName, HeaderValue};

use super::BuildError;
use super::escape::Escape;
use super::header_names::is_protected;
use super::template::{Compiled, Context};
use crate::config::gateway::{HeaderChanges, Template};

/// Changes of headers, compiled.
#[derive(Clone, Debug)]
pub(super) struct HeaderEdits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Text)>,
    add: Vec<(HeaderName, Text)>,
}

#[derive(Clone, Debug)]
enum Text {
    Constant(HeaderValue),
    Places(Compiled),
}

/// Changes with their values filled in.
pub(super) struct Filled<'a> {
    edits: &'a HeaderEdits,
    set: Vec<Option<HeaderValue>>,
    add: Vec<Option<HeaderValue>>,
}

impl HeaderEdits {
    /// `kind`: `request` or `response`, for errors.
    pub(super) fn build(route: &str, kind: &str, changes: &HeaderChanges) -> Result<Self, BuildError> {
        let check = |name: &HeaderName| {
            let error = || BuildError {
                route: route.to_owned(),
                thing: format!("a {kind} header to change"),
                value: name.to_string(),
                mend: "frames the message or is for one hop only; leave it to the gateway (a host has `host`)",
            };
            if is_protected(name) { Err(error()) } else { Ok(()) }
        };
        let compile = |(name, template): &(HeaderName, Template)| {
            check(name)?;
            let text = Compiled::new(template);
            let Some(constant) = text.constant() else { return Ok((name.clone(), Text::Places(text))) };
            let value = HeaderValue::from_bytes(constant.as_bytes()).map_err(|_| BuildError {
                route: route.to_owned(),
                thing: format!("the {kind} header {name}"),
                value: constant.to_owned(),
                mend: "holds a control character; take it out",
            })?;
            Ok((name.clone(), Text::Constant(value)))
        };
        changes.remove.iter().try_for_each(check)?;
        Ok(Self {
            remove: changes.remove.clone(),
            set: changes.set.iter().map(compile).collect::<Result<_, _>>()?,
            add: changes.add.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// Values are filled in before anything is changed, as they may be of what is changed.
    pub(super) fn fill(&self, context: &Context<'_>) -> Filled<'_> {
        let fill = |texts: &[(HeaderName, Text)]| texts.iter().map(|(_, text)| text.fill(context)).collect();
        Filled { edits: self, set: fill(&self.set), add: fill(&self.add) }
    }

    pub(super) fn needs_head(&self) -> bool {
        let needs = |(_, text): &(HeaderName, Text)| matches!(text, Text::Places(text) if text.needs_head());
        self.set.iter().any(needs) || self.add.iter().any(needs)
    }
}

impl Text {
    /// `None` where places were filled in and nothing came of it: such a header is not sent.
    fn fill(&self, context: &Context<'_>) -> Option<HeaderValue> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Places(text) => {
                let text = text.render(context, Escape::Header);
                let text = text.trim_matches([' ', '\t']);
                if text.is_empty() { None } else { HeaderValue::from_bytes(text.as_bytes()).ok() }
            }
        }
    }
}

impl Filled<'_> {
    pub(super) fn apply(self, headers: &mut HeaderMap) {
        for name in &self.edits.remove {
            headers.remove(name);
        }
        for ((name, _), value) in self.edits.set.iter().zip(self.set) {
            match value {
                Some(value) => headers.insert(name, value),
                // A client's own may not stand in for what was to be told of it.
                None => headers.remove(name),
            };
        }
        for ((name, _), value) in self.edits.add.iter().zip(self.add) {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
    }
}
