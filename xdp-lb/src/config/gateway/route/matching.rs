//! Which requests a route is for.

use http::Method;
use regex::RegexBuilder;

use super::ROUTE;
use crate::config::gateway::model::{Condition, HostPattern, PathPattern, Test};
use crate::config::gateway::rules::{RefusedHeaders, header, method, set};
use crate::config::rules::{Refusal, Rule, boolean, bounded_text, text};
use crate::config::section::{Field, Schema, Section};

const TESTS: &[&str] = &["name", "equals", "matches", "present"];

const REFUSED_TESTS: &[(&str, &str)] = &[
    ("value", "unknown key: write equals = \"…\""),
    ("is", "unknown key: write equals = \"…\""),
    ("regex", "unknown key: write matches = \"…\""),
];

const HEADER: Schema =
    Schema { header: "[[route.header]]", keys: TESTS, refused: REFUSED_TESTS, outer: Some(&ROUTE) };

const QUERY: Schema =
    Schema { header: "[[route.query]]", keys: TESTS, refused: REFUSED_TESTS, outer: Some(&ROUTE) };

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 2] = [(&HEADER, &[]), (&QUERY, &[])];

/// What a request has to be; each `None` when it is wrong.
pub(in crate::config::gateway) struct Matching {
    pub hosts: Option<Vec<HostPattern>>,
    pub path: Field<PathPattern>,
    pub methods: Option<Vec<Method>>,
    pub conditions: Option<Vec<Condition>>,
}

impl Matching {
    pub(super) fn read(table: &Section<'_>) -> Self {
        let expected = "a list of up to 256 hosts, as [\"www.example.com\", \"*.example.com\"]";
        let hosts = set(table, "hosts", expected, 0..=256, host(), Vec::new());
        let methods = set(
            table,
            "methods",
            "a list of up to 32 methods, as [\"GET\", \"HEAD\"]",
            0..=32,
            method(),
            Vec::new(),
        );
        let exact = table.optional("path", path());
        let prefix = table.or("prefix", prefix(), PathPattern::Prefix(String::new()));
        if exact.given {
            table.useless("prefix", "a route has a path or a prefix: remove one of the two");
        }
        let headers = table.tables("header", &HEADER);
        let queries = table.tables("query", &QUERY);
        let headers = headers.iter().map(|table| {
            let name = table.required("name", header(OTHERWISE)).value;
            let test = test(table);
            Some(Condition::Header(name?, test?))
        });
        let queries = queries.iter().map(|table| {
            let name = table.required("name", bounded_text(1..=256)).value;
            let test = test(table);
            Some(Condition::Query(name?, test?))
        });
        let conditions: Vec<Option<Condition>> = headers.chain(queries).collect();
        Self {
            hosts,
            path: if exact.given { exact } else { prefix },
            methods,
            conditions: conditions.into_iter().collect(),
        }
    }

    /// Names of the path's parameters; `None` when the path is wrong.
    pub(super) fn parameters(&self) -> Option<Vec<String>> {
        match self.path.value.as_ref()? {
            PathPattern::Path(path) => Some(parameters(path)),
            PathPattern::Prefix(_) => Some(Vec::new()),
        }
    }
}

const OTHERWISE: RefusedHeaders = &[("host", "write hosts = [\"…\"] in the route")];

/// Exactly one of the three tests.
fn test(table: &Section<'_>) -> Option<Test> {
    let equals = table.optional("equals", text(4_096));
    let matches = table.optional("matches", expression());
    let present = table.optional("present", boolean());
    let given: Vec<&'static str> =
        ["equals", "matches", "present"].into_iter().filter(|key| table.has(key)).collect();
    match given.as_slice() {
        [] => table.missing("equals", "one of equals = \"…\", matches = \"…\" and present = true or false"),
        [_] => {}
        [first, more @ ..] => more.iter().for_each(|key| {
            table.useless(
                key,
                &format!("a condition is one test, and `{first}` is there: write each as a table of its own"),
            );
        }),
    }
    if equals.given {
        return equals.value.map(Test::Is);
    }
    if matches.given {
        return matches.value.map(Test::Matches);
    }
    present.value.map(|present| if present { Test::Present } else { Test::Absent })
}

/// Most memory that an expression may take when compiled.
const EXPRESSION_BYTES: usize = 1 << 20;

/// A regular expression for a whole value. It is compiled as it will be used, and by itself: what is no expression may be
/// one between brackets.
fn expression() -> Rule<'static, String> {
    let expected = "a regular expression of at most 1024 bytes, without look-around and back-references";
    Rule::string(expected, |text| {
        if text.len() > 1_024 {
            return Err(Refusal::Unexpected);
        }
        for text in [text, &format!("^(?:{text})$")] {
            let built = RegexBuilder::new(text).size_limit(EXPRESSION_BYTES).build();
            built.map_err(|error| Refusal::Hint(in_words(&error)))?;
        }
        Ok(text.to_owned())
    })
}

/// The last line of what is said of an expression: those above draw it.
fn in_words(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "compiled, it takes more than 1 MiB".to_owned(),
        other => {
            let said = other.to_string();
            let last = said.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

/// A host, or all below it.
fn host() -> Rule<'static, HostPattern> {
    Rule::string("a host without port, as \"www.example.com\" or \"*.example.com\"", |text| {
        let lower = text.to_ascii_lowercase();
        if lower == "*" {
            return Err(Refusal::Hint("leave `hosts` out for any host".to_owned()));
        }
        if lower.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(Refusal::Hint(format!("write \"[{lower}]\"")));
        }
        if let Some(address) = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Result<std::net::Ipv6Addr, _> = address.parse();
            return address.map(|_| HostPattern::Exact(lower)).map_err(|_| Refusal::Unexpected);
        }
        if lower.contains(':') {
            return Err(Refusal::Hint("routes do not look at the port: remove it".to_owned()));
        }
        let (below, name) = lower.strip_prefix("*.").map_or((false, lower.as_str()), |name| (true, name));
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if lower.len() > 253 || !name.split('.').all(label) {
            return Err(Refusal::Unexpected);
        }
        Ok(if below { HostPattern::Below(name.to_owned()) } else { HostPattern::Exact(lower) })
    })
}

const PATH: &str =
    "a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest";

fn path() -> Rule<'static, PathPattern> {
    Rule::string(PATH, |text| {
        plain(text)?;
        matchit::Router::new().insert(text, ()).map_err(|error| {
            Refusal::Hint(match error {
                matchit::InsertError::InvalidParamSegment => "one parameter in each segment".to_owned(),
                matchit::InsertError::InvalidCatchAll => "{*name} stands at the end, after a '/'".to_owned(),
                _ => "write parameters as {name}, and a brace as {{ or }}".to_owned(),
            })
        })?;
        let names = parameters(text);
        let word = |name: &String| {
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if !names.iter().all(word) {
            return Err(Refusal::Hint("names of parameters have letters, digits, '_' and '-'".to_owned()));
        }
        if (1..names.len()).any(|at| names.get(..at).is_some_and(|before| before.contains(&names[at]))) {
            return Err(Refusal::Hint("name each parameter differently".to_owned()));
        }
        Ok(PathPattern::Path(text.to_owned()))
    })
}

fn prefix() -> Rule<'static, PathPattern> {
    Rule::string("a path of at most 1024 bytes that begins with '/', without parameters", |text| {
        plain(text)?;
        if text.contains(['{', '}']) {
            return Err(Refusal::Hint("parameters are for `path`, as \"/users/{id}/{*rest}\"".to_owned()));
        }
        Ok(PathPattern::Prefix(text.trim_end_matches('/').to_owned()))
    })
}

/// Whether a path is as requests have it.
fn plain(text: &str) -> Result<(), Refusal> {
    if !text.starts_with('/') || text.len() > 1_024 {
        return Err(Refusal::Unexpected);
    }
    if text.contains(['?', '#']) {
        return Err(Refusal::Hint("what follows a '?' is told by [[route.query]]".to_owned()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::Hint("write other characters percent-encoded, as %20".to_owned()));
    }
    if text.contains("//") || text.split('/').any(|segment| [".", ".."].contains(&segment)) {
        return Err(Refusal::Hint("no request has an empty, '.' or '..' segment within its path".to_owned()));
    }
    Ok(())
}

/// Names of a path's parameters, in order.
fn parameters(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    each_parameter(path, |_, name| names.push(name.trim_start_matches('*').to_owned()));
    names
}

/// The path with its parameters' names left out: equal for paths that take the same requests.
pub(in crate::config::gateway) fn matched_as(path: &PathPattern) -> String {
    match path {
        // No path has a space.
        PathPattern::Prefix(prefix) => format!("{prefix} "),
        PathPattern::Path(path) => {
            let mut shape = String::new();
            let rest = each_parameter(path, |before, name| {
                shape.push_str(before);
                shape.push_str(if name.starts_with('*') { "{*}" } else { "{}" });
            });
            shape + rest
        }
    }
}

/// Calls `found` with what stands before each parameter, and its name; returns what follows the last.
fn each_parameter<'p>(path: &'p str, mut found: impl FnMut(&'p str, &'p str)) -> &'p str {
    let (mut rest, mut from) = (path, 0);
    while let Some(at) = rest.get(from..).and_then(|tail| tail.find('{')).map(|at| at + from) {
        if rest.get(at + 1..).is_some_and(|tail| tail.starts_with('{')) {
            from = at + 2;
            continue;
        }
        let Some(end) = rest.get(at..).and_then(|tail| tail.find('}')).map(|end| end + at) else { break };
        found(rest.get(..at).unwrap_or_default(), rest.get(at + 1..end).unwrap_or_default());
        rest = rest.get(end + 1..).unwrap_or_default();
        from = 0;
    }
    rest
}
