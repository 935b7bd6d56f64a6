//! A document as it is read: its version, its references.

use std::io::Read as _;

use jsonschema::Draft;
use serde_json::{Map, Value};

use super::error::Problems;
use super::walk::{Kind, walk};
use crate::config::gateway::Document;
use crate::gateway::json;
use crate::regular;

/// Bytes of a document at most.
const MOST_BYTES: u64 = 16 << 20;

/// References that lead to references are followed this far.
const MOST_STEPS: usize = 32;

/// A document of a version that is known, whose references all lead to something in it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) root: Value,
    pub(super) version: Version,
    /// Of its schemas.
    pub(super) draft: Draft,
}

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.0: with a dialect of its own for schemas.
    V30,
    /// 3.1: JSON Schema.
    V31,
}

/// A file's bytes, and one more than may be where there are more.
fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    regular::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

impl Source {
    /// Reads a file.
    pub(super) fn read(document: &Document, problems: &mut Problems) -> Option<Self> {
        match read(&document.path) {
            Ok(text) if text.len() as u64 > MOST_BYTES => {
                problems.push("", "", "has more than 16 MiB; name a document of OpenAPI");
                None
            }
            Ok(text) => Self::parse(&text, problems),
            Err(error) => {
                problems.push("", error, "name a file that can be read");
                None
            }
        }
    }

    /// Reads a text: JSON if it begins as an object does, else YAML.
    pub(super) fn parse(text: &[u8], problems: &mut Problems) -> Option<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let root = if text.trim_ascii_start().starts_with(b"{") {
            let parsed = json::parse(text).map_err(|error| error.to_string());
            parsed.map(|parsed| {
                for pointer in parsed.twice {
                    problems.push(&pointer, "", "is there twice; leave one");
                }
                parsed.value
            })
        } else {
            let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
            serde_saphyr::from_slice_with_options(text, options).map_err(|error| error.to_string())
        };
        let mut root = match root {
            Ok(root) => root,
            Err(error) => {
                problems.push("", error, "give a document in JSON or YAML");
                return None;
            }
        };
        let version = match root.get("openapi").and_then(Value::as_str) {
            Some(version) if version.starts_with("3.0.") => Version::V30,
            Some(version) if version.starts_with("3.1.") => Version::V31,
            _ => {
                let told = root.get("openapi").map(Value::to_string).unwrap_or_default();
                problems.push("/openapi", told, "has to be a string, \"3.0.x\" or \"3.1.x\"");
                return None;
            }
        };
        let dialect = root.get("jsonSchemaDialect").filter(|_| version == Version::V31);
        let Some(draft) = dialect.map_or(Some(Draft::Draft202012), |dialect| draft(dialect.as_str()?)) else {
            let told = dialect.map(Value::to_string).unwrap_or_default();
            problems.push(
                "/jsonSchemaDialect",
                told,
                "has to be a draft of JSON Schema from 4 to 2020-12, or OpenAPI's",
            );
            return None;
        };
        check_references(&mut root, problems);
        Some(Self { root, version, draft })
    }

    /// What a value is, references followed, and where that is.
    pub(super) fn resolve<'a>(&'a self, mut value: &'a Value, pointer: &str) -> (&'a Value, String) {
        let mut pointer = pointer.to_owned();
        for _ in 0..MOST_STEPS {
            let Some(next) = reference(value) else {
                break;
            };
            match self.root.pointer(&next) {
                Some(target) => (value, pointer) = (target, next),
                None => break,
            }
        }
        (value, pointer)
    }
}

/// Pointer that a local reference in a value leads to.
pub(super) fn reference(value: &Value) -> Option<String> {
    let fragment = value.get("$ref")?.as_str()?.strip_prefix('#')?;
    Some(percent_encoding::percent_decode_str(fragment).decode_utf8_lossy().into_owned())
}

fn draft(uri: &str) -> Option<Draft> {
    if uri.starts_with("https://spec.openapis.org/oas/3.1/dialect/") {
        return Some(Draft::Draft202012);
    }
    Some(Draft::from_schema_uri(uri)).filter(|draft| *draft != Draft::Unknown)
}

/// All references have to lead to something in the document itself: what a gateway enforces must not change by what somebody
/// else serves.
fn check_references(root: &mut Value, problems: &mut Problems) {
    let whole = root.clone();
    walk(root, &mut |map: &mut Map<String, Value>, at: &str, kind| {
        if let Some(reference) = map.get("$ref") {
            let at = format!("{at}/$ref");
            let Some(text) = reference.as_str() else {
                return problems.push(&at, reference, "has to be a string");
            };
            let target = self::reference(&Value::Object(map.clone()));
            match target {
                None => problems.push(
                    &at,
                    text,
                    "leads out of the document; put what it leads to below #/components and refer to that",
                ),
                Some(target) if target.is_empty() || target.starts_with('/') => {
                    match whole.pointer(&target) {
                        None => problems.push(&at, text, "leads to nothing; name what is there"),
                        Some(value) if is_endless(&whole, value) => {
                            problems.push(&at, text, "leads back to itself; let it end somewhere");
                        }
                        Some(_) => {}
                    }
                }
                Some(_) => problems.push(&at, text, "is no JSON pointer; write it as #/components/…"),
            }
        }
        if kind == Kind::Schema {
            for keyword in ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"] {
                if let Some(value) = map.get(keyword) {
                    let mend =
                        "is not supported; refer to schemas by JSON pointer, as #/components/schemas/NAME";
                    problems.push(&format!("{at}/{keyword}"), value, mend);
                }
            }
            if let Some(dialect) =
                map.get("$schema").filter(|its| its.as_str().is_none_or(|its| draft(its).is_none()))
            {
                let mend = "has to be a draft of JSON Schema from 4 to 2020-12";
                problems.push(&format!("{at}/$schema"), dialect, mend);
            }
        }
    });
}

/// Whether references lead on without end.
fn is_endless<'a>(root: &'a Value, mut value: &'a Value) -> bool {
    for _ in 0..MOST_STEPS {
        // With keywords beside it, it stands for more than what it leads to.
        match reference(value).filter(|_| value.as_object().is_some_and(|map| map.len() == 1)) {
            None => return false,
            Some(next) => match root.pointer(&next) {
                None => return false,
                Some(next) => value = next,
            },
        }
    }
    true
}
