//! Compiles the schemas of a document, each once.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Registry, RegistryBuilder, ValidationError, Validator};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::dialect::{Direction, translated};
use super::document::{Source, reference};
use super::error::Problems;

/// Where references within a document start from; nobody resolves this name.
const BASE: &str = "openapi:///document";

/// What has to be encoded in a URI's fragment.
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'^')
    .add(b'|')
    .add(b'[')
    .add(b']')
    .add(b'\\')
    .add(b'#');

/// Steps back that a pattern with look-around may take for one string: some patterns take time that doubles with each
/// character. One that needs more does not fit.
const MOST_STEPS_BACK: usize = 10_000;

/// The compiled schemas of a document.
pub(super) struct Schemas<'a> {
    pub(super) source: &'a Source,
    requests: Side,
    answers: Side,
}

struct Side {
    root: Value,
    registry: Option<Registry<'static>>,
    compiled: HashMap<String, Option<Arc<Validator>>>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(source: &'a Source, problems: &mut Problems) -> Self {
        let mut side = |direction| {
            let root = translated(source, direction);
            let resource = source.draft.create_resource(root.clone());
            let registry =
                Registry::new().draft(source.draft).add(BASE, resource).and_then(RegistryBuilder::prepare);
            let registry = registry.map_err(|error| problems.push("", "", error.to_string())).ok();
            Side { root, registry, compiled: HashMap::new() }
        };
        let mut new = Self { source, requests: side(Direction::Request), answers: side(Direction::Answer) };
        let named = source.root.pointer("/components/schemas").and_then(Value::as_object);
        for name in named.into_iter().flat_map(serde_json::Map::keys) {
            new.check(&format!("/components/schemas/{}", crate::gateway::json::escaped(name)), problems);
        }
        new
    }

    /// The schema at a pointer; `None` where it is wrong, which is then among the problems.
    pub(super) fn compile(
        &mut self,
        pointer: &str,
        direction: Direction,
        problems: &mut Problems,
    ) -> Option<Arc<Validator>> {
        let side = self.side(direction);
        let mut pointer = pointer.to_owned();
        // What is only a reference is compiled where it leads to: schemas of components are shared by operations.
        for _ in 0..32 {
            let only = side
                .root
                .pointer(&pointer)
                .filter(|value| value.as_object().is_some_and(|map| map.len() == 1));
            match only.and_then(reference) {
                Some(next) => pointer = next,
                None => break,
            }
        }
        if let Some(compiled) = side.compiled.get(&pointer) {
            return compiled.clone();
        }
        let compiled =
            if self.check(&pointer, problems) { self.build(&pointer, direction, problems) } else { None };
        self.side(direction).compiled.insert(pointer, compiled.clone());
        compiled
    }

    fn build(
        &mut self,
        pointer: &str,
        direction: Direction,
        problems: &mut Problems,
    ) -> Option<Arc<Validator>> {
        let draft = self.source.draft;
        let registry = self.side(direction).registry.as_ref()?;
        let schema = json!({ "$ref": format!("{BASE}#{}", utf8_percent_encode(pointer, FRAGMENT)) });
        let patterns = PatternOptions::fancy_regex().backtrack_limit(MOST_STEPS_BACK);
        let options = jsonschema::options()
            .with_draft(draft)
            .with_registry(registry)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .offline();
        match options.build(&schema) {
            Ok(validator) => Some(Arc::new(validator)),
            Err(error) => {
                let mend = format!("is no schema that can be used: {}", error.masked());
                problems.push(pointer, "", mend);
                None
            }
        }
    }

    /// Whether a schema is one; else what is wrong with it is among the problems.
    fn check(&mut self, pointer: &str, problems: &mut Problems) -> bool {
        let Some(schema) = self.requests.root.pointer(pointer) else {
            problems.push(
                pointer,
                "",
                "leads to nothing after translation from OpenAPI 3.0; refer to a schema of components",
            );
            return false;
        };
        let mut is_schema = true;
        let mut tell = |error: ValidationError<'_>| {
            let at = format!("{pointer}{}", error.instance_path());
            let value = self.source.root.pointer(&at).map(Value::to_string).unwrap_or_default();
            problems.push(&at, value, format!("is not what a schema has: {}", error.masked()));
            is_schema = false;
        };
        match self.source.draft {
            Draft::Draft4 => jsonschema::draft4::meta::validator().iter_errors(schema).for_each(&mut tell),
            Draft::Draft6 => jsonschema::draft6::meta::validator().iter_errors(schema).for_each(&mut tell),
            Draft::Draft7 => jsonschema::draft7::meta::validator().iter_errors(schema).for_each(&mut tell),
            Draft::Draft201909 => {
                jsonschema::draft201909::meta::validator().iter_errors(schema).for_each(&mut tell);
            }
            _ => jsonschema::draft202012::meta::validator().iter_errors(schema).for_each(&mut tell),
        }
        is_schema
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.requests,
            Direction::Answer => &mut self.answers,
        }
    }
}
