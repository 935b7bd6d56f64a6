//! The text of a file with the problems found in it so far.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::error::{Errors, Problem};

/// Parses `text` and gives its root table to `build`, which reports what it finds wrong and may give up with `None`.
pub(super) fn read<T>(
    text: &str,
    file: &Path,
    build: impl FnOnce(&Source<'_>, &DeTable<'_>) -> Option<T>,
) -> Result<T, Errors> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let built = if source.report_syntax(&errors) { None } else { build(&source, root.get_ref()) };
    let problems = source.problems.into_inner();
    match built {
        Some(built) if problems.is_empty() => Ok(built),
        _ => Err(Errors::new(file, problems)),
    }
}

/// A file's text, and what is wrong with it.
pub(super) struct Source<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

/// Something in the file that can be wrong.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Byte where it begins.
    pub offset: usize,
    /// Its key, with the value as written where it has one.
    pub subject: String,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, line_starts, problems: RefCell::default() }
    }

    /// Adds a problem.
    pub(super) fn report(&self, place: &Place, message: impl Into<String>) {
        let line = self.line(place.offset);
        self.problems.borrow_mut().push(Problem {
            line,
            subject: place.subject.clone(),
            message: message.into(),
        });
    }

    /// Reports each place whose value an earlier place has too; `message` gets the earlier one's line.
    pub(super) fn unique<'p, T: Eq + Hash>(
        &self,
        values: impl IntoIterator<Item = (T, &'p Place)>,
        message: impl Fn(usize) -> String,
    ) {
        let mut seen = HashMap::new();
        for (value, place) in values {
            let first = *seen.entry(value).or_insert(place.offset);
            if first != place.offset {
                self.report(place, message(self.line(first)));
            }
        }
    }

    /// Line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    /// A part of the text in at most 60 characters of one line.
    pub(super) fn written(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let short: String = line.chars().take(60).collect();
        if short.len() < text.len() { format!("{short}…") } else { short }
    }

    /// Reports the first syntax error of each line. True when the tables cannot be trusted: then what else seems
    /// wrong would mislead. A key set twice does no such harm.
    fn report_syntax(&self, errors: &[toml::de::Error]) -> bool {
        let mut last_line = 0;
        let mut broken = false;
        for error in errors {
            let span = error.span().unwrap_or_default();
            if error.message() == "duplicate key" {
                let subject = self.written(span.clone());
                self.report(&Place { offset: span.start, subject }, "set twice: remove one of the two");
                continue;
            }
            broken = true;
            let line = self.line(span.start);
            if line != last_line {
                let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
                let before = self.text.get(start..span.start).unwrap_or_default();
                let after =
                    self.text.get(span.start..).unwrap_or_default().lines().next().unwrap_or_default();
                let (column, what) = (before.chars().count() + 1, in_words(error.message(), after));
                let place = Place { offset: span.start, subject: String::new() };
                self.report(&place, format!("not valid TOML at column {column}: {what}"));
            }
            last_line = line;
        }
        broken
    }
}

/// A syntax error, with the mend of the two mistakes made most.
fn in_words(message: &str, rest_of_line: &str) -> String {
    if message.starts_with("string values must be quoted") {
        let value = rest_of_line.split('#').next().unwrap_or_default();
        return if value.trim().is_empty() {
            "a value is missing"
        } else {
            "write words, durations and addresses in quotes"
        }
        .to_owned();
    }
    if message.starts_with("invalid float") || message.starts_with("invalid integer") {
        return "this is no number, write words, durations and addresses in quotes".to_owned();
    }
    message.to_owned()
}
