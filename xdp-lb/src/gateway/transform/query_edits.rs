use super::escape::{Escape, encode_value};
use super::query::is_named;
use super::template::{Compiled, Context};
use crate::config::gateway::{QueryChanges, Template};

/// Changes of the query, compiled. What they do not name stays where it is, byte for byte.
#[derive(Clone, Debug)]
pub(super) struct QueryEdits {
    remove: Vec<String>,
    set: Vec<(String, Compiled)>,
    add: Vec<(String, Compiled)>,
}

impl QueryEdits {
    pub(super) fn new(changes: &QueryChanges) -> Self {
        let compile = |(name, template): &(String, Template)| (name.clone(), Compiled::new(template));
        Self {
            remove: changes.remove.clone(),
            set: changes.set.iter().map(compile).collect(),
            add: changes.add.iter().map(compile).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// The query after the changes; `None`: there is none.
    pub(super) fn apply(&self, query: Option<&str>, context: &Context<'_>) -> Option<String> {
        let mut pieces: Vec<String> = query
            .filter(|query| !query.is_empty())
            .into_iter()
            .flat_map(|query| query.split('&'))
            .map(str::to_owned)
            .collect();
        for name in &self.remove {
            pieces.retain(|piece| !is_named(piece, name));
        }
        for (name, value) in &self.set {
            let place = pieces.iter().position(|piece| is_named(piece, name));
            pieces.retain(|piece| !is_named(piece, name));
            pieces.insert(place.unwrap_or(pieces.len()), pair(name, value, context));
        }
        for (name, value) in &self.add {
            pieces.push(pair(name, value, context));
        }
        (!pieces.is_empty()).then(|| pieces.join("&"))
    }
}

fn pair(name: &str, value: &Compiled, context: &Context<'_>) -> String {
    let mut text: String = encode_value(name).collect();
    text.push('=');
    text.extend(encode_value(&value.render(context, Escape::None)));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{self, template};
    use super::*;

    fn edits(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> QueryEdits {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), template(text))).collect::<Vec<_>>()
        };
        let remove = remove.iter().map(|name| (*name).to_owned()).collect();
        QueryEdits::new(&QueryChanges { remove, set: pairs(set), add: pairs(add) })
    }

    fn apply(edits: &QueryEdits, query: Option<&str>) -> Option<String> {
        let exchange = testing::exchange("GET", "shop.test", "/");
        let head = testing::head("GET", "/", &[("x-evil", "1&admin=1#%00 ü")]);
        edits.apply(query, &Context { exchange: &exchange, head: &head, rest: "", status: None })
    }

    #[test]
    fn named_parameters_change() {
        for (edits, query, expected) in [
            (edits(&["a"], &[], &[]), Some("a=1&b=%7e&&c&a"), Some("b=%7e&&c")),
            (edits(&["a"], &[], &[]), Some("%61=1"), None),
            (edits(&["a"], &[], &[]), None, None),
            (edits(&[], &[("a", "x y")], &[]), Some("b=1&a=1&c=+&a=2"), Some("b=1&a=x%20y&c=+")),
            (edits(&[], &[("a", "1")], &[]), None, Some("a=1")),
            (edits(&[], &[("a", "1")], &[]), Some(""), Some("a=1")),
            (edits(&["a"], &[("a", "1")], &[("a", "2")]), Some("a=0&b"), Some("b&a=1&a=2")),
            (
                edits(&[], &[], &[("a&b", "{header:x-evil}")]),
                Some("q"),
                Some("q&a%26b=1%26admin%3D1%23%2500%20%C3%BC"),
            ),
            (edits(&[], &[("p", "a={path}")], &[]), None, Some("p=a%3D%2F")),
        ] {
            assert_eq!(apply(&edits, query).as_deref(), expected, "{edits:?} {query:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_not_named_stays_byte_for_byte(query in "([a-c]|%6[1-3]|[=&+;]|%2[0-9a-f]){0,20}", add in any::<bool>()) {
            let other = |text: &str| {
                text.split('&').filter(|piece| !is_named(piece, "a")).map(str::to_owned).collect::<Vec<_>>()
            };
            let changes = if add { edits(&[], &[("a", "1")], &[]) } else { edits(&["a"], &[], &[]) };
            let after = apply(&changes, Some(&query)).unwrap_or_default();
            prop_assert_eq!(after.split('&').filter(|piece| is_named(piece, "a")).count(), usize::from(add));
            let (before, after) = (other(&query), other(&after));
            // A query without any piece is the empty one.
            let bare = |pieces: Vec<String>| if pieces == [""] { Vec::new() } else { pieces };
            prop_assert_eq!(bare(before), bare(after));
        }
    }
}
