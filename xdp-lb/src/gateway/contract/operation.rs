//! Operations of a document, compiled, and the paths that lead to them.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use matchit::Router;
use serde_json::Value;

use super::dialect::Direction;
use super::error::Problems;
use super::media::Media;
use super::parameter::{Parameter, Place};
use super::schemas::Schemas;
use crate::gateway::json::escaped;

/// What a document allows.
#[derive(Debug, Default)]
pub(super) struct Contract {
    paths: Router<usize>,
    items: Vec<PathItem>,
}

/// A path and what may be done there.
#[derive(Debug)]
pub(super) struct PathItem {
    operations: Vec<(Method, Arc<Described>)>,
    /// For the `Allow` header.
    pub(super) allow: HeaderValue,
}

/// An operation.
#[derive(Debug)]
pub(super) struct Described {
    /// `operationId`, or method and path.
    pub(super) name: String,
    /// Those of the path in its order, then the others.
    pub(super) parameters: Vec<Parameter>,
    pub(super) has_query: bool,
    pub(super) has_cookies: bool,
    pub(super) body: Option<RequestBody>,
    answers: Vec<(Statuses, Answer)>,
}

/// What a request holds.
#[derive(Debug)]
pub(super) struct RequestBody {
    pub(super) required: bool,
    pub(super) content: Vec<Media>,
    /// Its media types, for the `Accept` header.
    pub(super) accept: String,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Empty: not described.
    pub(super) content: Vec<Media>,
    pub(super) headers: Vec<Parameter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u16),
    /// The hundreds.
    Class(u16),
    Default,
}

const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

impl Contract {
    /// Reads all paths.
    pub(super) fn read(schemas: &mut Schemas<'_>, problems: &mut Problems) -> Self {
        let mut new = Self::default();
        let source = schemas.source;
        let Some(paths) = source.root.get("paths").and_then(Value::as_object) else {
            problems.push("/paths", "", "is missing; a document without paths allows nothing");
            return new;
        };
        for (template, item) in paths.iter().filter(|(template, _)| !template.starts_with("x-")) {
            let pointer = format!("/paths/{}", escaped(template));
            let names = match new.insert(template) {
                Ok(names) => names,
                Err(mend) => {
                    problems.push(&pointer, template, mend);
                    continue;
                }
            };
            let (item, pointer) = source.resolve(item, &pointer);
            let item = PathItem::read(schemas, item, &pointer, template, &names, problems);
            new.items.push(item);
        }
        new
    }

    /// Enters a path, whose item comes next; gives the names of its parameters.
    fn insert(&mut self, template: &str) -> Result<Vec<String>, String> {
        if !template.starts_with('/') {
            return Err("has to begin with /".to_owned());
        }
        let mut names = Vec::new();
        let mut route = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) =
                after.split_once('}').filter(|(name, _)| !name.is_empty() && !name.contains(['{', '/']))
            else {
                return Err("has a { without a name and } behind it".to_owned());
            };
            if names.iter().any(|other| other == name) {
                return Err(format!("has {{{name}}} twice; give each parameter a name of its own"));
            }
            // The names in the document may hold what the router does not take.
            route += &format!("{}{{p{}}}", before.replace('}', "}}"), names.len());
            names.push(name.to_owned());
            rest = after;
        }
        route += &rest.replace('}', "}}");
        self.paths.insert(route, self.items.len()).map_err(|error| match error {
            matchit::InsertError::Conflict { with } => {
                format!("takes the same paths as `{with}`; describe them in one place")
            }
            matchit::InsertError::InvalidParamSegment => {
                "has two parameters between two slashes, which is not supported; separate them by /"
                    .to_owned()
            }
            other => format!("cannot be used: {other}"),
        })?;
        Ok(names)
    }

    /// What there is at a path, with the values of its parameters as they were sent.
    pub(super) fn find<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a PathItem, matchit::Params<'a, 'p>)> {
        let found = self.paths.at(path).ok()?;
        Some((self.items.get(*found.value)?, found.params))
    }
}

impl PathItem {
    fn read(
        schemas: &mut Schemas<'_>,
        item: &Value,
        pointer: &str,
        template: &str,
        names: &[String],
        problems: &mut Problems,
    ) -> Self {
        let shared = parameters(item, pointer);
        let mut operations = Vec::new();
        for (key, method) in METHODS {
            if let Some(operation) = item.get(key) {
                let at = format!("{pointer}/{key}");
                let told = operation.get("operationId").and_then(Value::as_str);
                let name = told.map_or_else(|| format!("{method} {template}"), str::to_owned);
                let operation = Described::read(schemas, operation, &at, name, &shared, names, problems);
                operations.push((method, Arc::new(operation)));
            }
        }
        let mut allow: Vec<&str> = operations.iter().map(|(method, _)| method.as_str()).collect();
        if allow.contains(&"GET") && !allow.contains(&"HEAD") {
            allow.push("HEAD");
        }
        let allow = HeaderValue::from_str(&allow.join(", ")).unwrap_or(HeaderValue::from_static(""));
        Self { operations, allow }
    }

    /// The operation of a method: HEAD is answered as GET is where nothing else is said.
    pub(super) fn operation(&self, method: &Method) -> Option<&Arc<Described>> {
        let of = |method: &Method| {
            self.operations.iter().find(|(its, _)| its == method).map(|(_, operation)| operation)
        };
        of(method).or_else(|| of(&Method::GET).filter(|_| method == Method::HEAD))
    }
}

/// Parameter objects with their pointers.
fn parameters<'a>(value: &'a Value, pointer: &str) -> Vec<(&'a Value, String)> {
    let list = value.get("parameters").and_then(Value::as_array).into_iter().flatten();
    list.enumerate().map(|(index, value)| (value, format!("{pointer}/parameters/{index}"))).collect()
}

impl Described {
    fn read(
        schemas: &mut Schemas<'_>,
        operation: &Value,
        pointer: &str,
        name: String,
        shared: &[(&Value, String)],
        names: &[String],
        problems: &mut Problems,
    ) -> Self {
        let own = parameters(operation, pointer);
        let mut list: Vec<Parameter> = Vec::new();
        // An operation's own go before those of its path.
        for (index, (value, at)) in own.iter().chain(shared).enumerate() {
            let Some(new) = Parameter::read(schemas, value, at, problems) else {
                continue;
            };
            match list.iter().any(|other| other.place == new.place && other.name == new.name) {
                true if index < own.len() => {
                    problems.push(at, &new.name, "is described twice; leave one");
                }
                true => {}
                false => list.push(new),
            }
        }
        let mut sorted = Vec::new();
        for name in names {
            let is_it = |parameter: &Parameter| parameter.place == Place::Path && parameter.name == *name;
            match list.iter().position(is_it) {
                Some(index) => sorted.push(list.swap_remove(index)),
                None => {
                    problems.push(pointer, name, "is in the path; describe it below parameters, in: path");
                }
            }
        }
        for stray in list.iter().filter(|parameter| parameter.place == Place::Path) {
            problems.push(
                pointer,
                &stray.name,
                "is a parameter of the path and not in it; name it there as {NAME}",
            );
        }
        sorted.extend(list);
        let has = |place| sorted.iter().any(|parameter| parameter.place == place);
        let (has_query, has_cookies) = (has(Place::Query), has(Place::Cookie));
        let body = operation.get("requestBody").map(|body| {
            let (body, at) = schemas.source.resolve(body, &format!("{pointer}/requestBody"));
            let content = body.get("content").unwrap_or(&Value::Null);
            let content =
                Media::read_all(schemas, content, &format!("{at}/content"), Direction::Request, problems);
            let required = body.get("required").and_then(Value::as_bool).unwrap_or(false);
            RequestBody { required, accept: Media::list(&content), content }
        });
        let answers = answers(schemas, operation, pointer, problems);
        Self { name, parameters: sorted, has_query, has_cookies, body, answers }
    }

    /// What is described for a status: itself, its class, or the default.
    pub(super) fn answer(&self, status: StatusCode) -> Option<&Answer> {
        let status = status.as_u16();
        [Statuses::One(status), Statuses::Class(status / 100), Statuses::Default]
            .iter()
            .find_map(|wanted| self.answers.iter().find(|(its, _)| its == wanted).map(|(_, answer)| answer))
    }
}

fn answers(
    schemas: &mut Schemas<'_>,
    operation: &Value,
    pointer: &str,
    problems: &mut Problems,
) -> Vec<(Statuses, Answer)> {
    let pointer = format!("{pointer}/responses");
    let mut answers = Vec::new();
    for (key, answer) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        if key.starts_with("x-") {
            continue;
        }
        let at = format!("{pointer}/{}", escaped(key));
        let Some(statuses) = statuses(key) else {
            problems.push(&at, key, "is no status; write it as \"200\", \"2XX\" or \"default\"");
            continue;
        };
        let (answer, at) = schemas.source.resolve(answer, &at);
        let content = answer.get("content").map_or_else(Vec::new, |content| {
            Media::read_all(schemas, content, &format!("{at}/content"), Direction::Answer, problems)
        });
        let mut headers = Vec::new();
        for (name, header) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
            if name.eq_ignore_ascii_case("content-type") {
                // OpenAPI, "Response Object", `headers`.
                continue;
            }
            let (header, at) = schemas.source.resolve(header, &format!("{at}/headers/{}", escaped(name)));
            let (name, place) = (name.clone(), Place::Header);
            headers.extend(Parameter::describe(
                schemas,
                header,
                &at,
                name,
                place,
                Direction::Answer,
                problems,
            ));
        }
        answers.push((statuses, Answer { content, headers }));
    }
    answers
}

fn statuses(key: &str) -> Option<Statuses> {
    if key == "default" {
        return Some(Statuses::Default);
    }
    let (class, rest) = key.split_at_checked(1)?;
    if rest == "XX" {
        return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Statuses::Class);
    }
    key.parse().ok().filter(|status| key.len() == 3 && (100..=599).contains(status)).map(Statuses::One)
}
