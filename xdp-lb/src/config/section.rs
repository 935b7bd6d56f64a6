//! One table of the file, read key by key. What is wrong is reported and reading goes on.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::rules::{Refusal, Rule, listed};
use super::similar::similar;
use super::source::{Place, Source};

/// What a table may contain.
pub(super) struct Schema {
    /// As its header is written: `[vip.health]`.
    pub header: &'static str,
    /// Every key that is read.
    pub keys: &'static [&'static str],
    /// Keys that somebody might expect, and why they are not read.
    pub refused: &'static [(&'static str, &'static str)],
    /// The table around it, whose keys are often written here by mistake.
    pub outer: Option<&'static Schema>,
}

/// What reading a key gave.
#[derive(Debug)]
pub(super) struct Field<T> {
    /// The value or its default; `None` when it is wrong or missing, which is reported already.
    pub value: Option<T>,
    /// The key, or its table where the key is not there.
    pub place: Place,
    /// Whether the key is in the file.
    pub given: bool,
}

impl<T> Field<T> {
    /// The value where the key is there, `Some(None)` where it is not, `None` when it is wrong.
    pub(super) fn maybe(self) -> Option<Option<T>> {
        if self.given { self.value.map(Some) } else { Some(None) }
    }
}

/// One table of the file, or the absence of one that may be left out.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    schema: &'static Schema,
    table: Option<&'a DeTable<'a>>,
    place: Place,
    separator: &'static str,
    /// What should be this table is something else, which is reported already.
    is_wrong: bool,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(source: &'a Source<'a>, table: &'a DeTable<'a>, schema: &'static Schema) -> Self {
        let place = Place { offset: 0, subject: String::new() };
        Self { source, schema, table: Some(table), place, separator: "", is_wrong: false }.with_known_keys()
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Where problems go.
    pub(super) fn source(&self) -> &'a Source<'a> {
        self.source
    }

    /// Whether the table is in the file.
    pub(super) fn is_given(&self) -> bool {
        self.table.is_some()
    }

    /// A key that must be there.
    pub(super) fn required<T>(&self, key: &'static str, rule: Rule<'_, T>) -> Field<T> {
        let field = self.field(key, &rule, None);
        if !field.given {
            self.missing(key, &rule.expected);
        }
        field
    }

    /// Reports that a key is not there.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        if !self.is_wrong {
            self.source.report(&self.key_place(key), format!("missing: expected {expected}"));
        }
    }

    /// Reports a key that is there, and has no effect beside what another says.
    pub(super) fn useless(&self, key: &'static str, reason: &str) {
        if let Some((place, _)) = self.find(key) {
            self.source.report(&place, reason);
        }
    }

    /// A key with a default.
    pub(super) fn or<T>(&self, key: &'static str, rule: Rule<'_, T>, default: T) -> Field<T> {
        self.field(key, &rule, Some(default))
    }

    /// A key that may be left out; its value then depends on others.
    pub(super) fn optional<T>(&self, key: &'static str, rule: Rule<'_, T>) -> Field<T> {
        self.field(key, &rule, None)
    }

    /// A list: `None` when the key is not there, else its elements. Each is reported under its own position.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        expected: &str,
        count: RangeInclusive<usize>,
        rule: Rule<'_, T>,
    ) -> Option<Vec<Field<T>>> {
        let (place, value) = self.find(key)?;
        let Some(elements) = value.get_ref().as_array().filter(|elements| count.contains(&elements.len()))
        else {
            let hint = match value.get_ref() {
                DeValue::String(_) => format!(": write [{}]", self.source.written(value.span())),
                _ => String::new(),
            };
            self.source.report(&place, format!("expected {expected}{hint}"));
            return Some(Vec::new());
        };
        let elements = elements.iter().enumerate().map(|(index, element)| {
            let written = self.source.written(element.span());
            let subject = format!("{}{}{key}[{index}] = {written}", self.place.subject, self.separator);
            let place = Place { offset: element.span().start, subject };
            Field { value: self.apply(&rule, element, &place), place, given: true }
        });
        Some(elements.collect())
    }

    /// A table inside this one, that may be left out.
    pub(super) fn table(&self, key: &'static str, schema: &'static Schema) -> Self {
        let mut section = Self { table: None, schema, place: self.key_place(key), separator: ".", ..*self };
        if let Some((place, value)) = self.find(key) {
            section.place.offset = value.span().start.max(place.offset);
            match value.get_ref() {
                DeValue::Table(table) => {
                    section.table = Some(table);
                    return section.with_known_keys();
                }
                _ => {
                    section.is_wrong = true;
                    self.source.report(&place, format!("expected a table, written {}", schema.header));
                }
            }
        }
        section
    }

    /// The tables of an array of tables, each named by position and `name`.
    pub(super) fn tables(&self, key: &'static str, schema: &'static Schema) -> Vec<Self> {
        let Some((place, value)) = self.find(key) else { return Vec::new() };
        let Some(elements) = value.get_ref().as_array() else {
            self.source
                .report(&place, format!("expected an array of tables, each written {}", schema.header));
            return Vec::new();
        };
        let sections = elements.iter().enumerate().filter_map(|(index, element)| {
            let mut subject = format!("{}{}{key}[{index}]", self.place.subject, self.separator);
            let Some(table) = element.get_ref().as_table() else {
                let place = Place { offset: element.span().start, subject };
                self.source.report(&place, format!("expected a table, written {}", schema.header));
                return None;
            };
            if let Some(name) = table.get("name").filter(|name| name.get_ref().is_str()) {
                subject = format!("{subject} {}", self.source.written(name.span()));
            }
            let place = Place { offset: element.span().start, subject };
            Some(Self { table: Some(table), schema, place, separator: ": ", ..*self }.with_known_keys())
        });
        sections.collect()
    }

    /// Whether a key is in the file, whatever its value.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// A table inside this one whose keys are free, `name` and `value` saying what is allowed; in the file's order.
    pub(super) fn entries<K, V>(
        &self,
        key: &'static str,
        example: &str,
        name: &Rule<'_, K>,
        value: &Rule<'_, V>,
    ) -> Vec<(Field<K>, Field<V>)> {
        let Some((place, found)) = self.find(key) else { return Vec::new() };
        let Some(table) = found.get_ref().as_table() else {
            self.source.report(&place, format!("expected a table, as {example}"));
            return Vec::new();
        };
        let inner = Self { table: Some(table), place: self.key_place(key), separator: ".", ..*self };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, found)| {
            let place = inner.value_place(key, found);
            let written = Spanned::new(key.span(), DeValue::String(key.get_ref().clone()));
            let name = Field { value: self.apply(name, &written, &place), place: place.clone(), given: true };
            (name, Field { value: self.apply(value, found, &place), place, given: true })
        });
        entries.collect()
    }

    fn field<T>(&self, key: &'static str, rule: &Rule<'_, T>, default: Option<T>) -> Field<T> {
        match self.find(key) {
            Some((place, value)) => Field { value: self.apply(rule, value, &place), place, given: true },
            None => Field { value: default, place: self.key_place(key), given: false },
        }
    }

    fn apply<T>(&self, rule: &Rule<'_, T>, value: &Spanned<DeValue<'_>>, place: &Place) -> Option<T> {
        let hint = match (rule.read)(value.get_ref()) {
            Ok(value) => return Some(value),
            Err(Refusal::Unexpected) => String::new(),
            Err(Refusal::Hint(hint)) => format!(": {hint}"),
        };
        self.source.report(place, format!("expected {}{hint}", rule.expected));
        None
    }

    /// The key's value with the place to report it under.
    fn find(&self, key: &'static str) -> Option<(Place, &'a Spanned<DeValue<'a>>)> {
        debug_assert!(
            self.schema.keys.contains(&key),
            "{key} is not in the schema of {}",
            self.schema.header
        );
        let (key, value) = self.table?.get_key_value(key)?;
        Some((self.value_place(key, value), value))
    }

    fn key_place(&self, key: &str) -> Place {
        let subject = format!("{}{}{key}", self.place.subject, self.separator);
        Place { offset: self.place.offset, subject }
    }

    fn value_place(&self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Place {
        let mut place = self.key_place(&self.source.written(key.span()));
        place.offset = key.span().start;
        // A table's span is its header, which would only repeat the key.
        let written = self.source.written(value.span());
        let is_header = written.starts_with("[[") && value.get_ref().is_array() || value.get_ref().is_table();
        if !is_header {
            place.subject = format!("{} = {written}", place.subject);
        }
        place
    }

    fn with_known_keys(self) -> Self {
        for (key, value) in self.table.into_iter().flatten() {
            if !self.schema.keys.contains(&key.get_ref().as_ref()) {
                self.source.report(&self.value_place(key, value), self.schema.refuse(key.get_ref()));
            }
        }
        self
    }
}

impl Schema {
    /// Why `key` is not read, and what was meant instead.
    fn refuse(&self, key: &str) -> String {
        if let Some((_, reason)) = self.refused.iter().find(|(refused, _)| *refused == key) {
            return (*reason).to_owned();
        }
        if let Some(outer) = self.outer.filter(|outer| outer.keys.contains(&key)) {
            return format!("belongs to {}: move it above {}", outer.header, self.header);
        }
        match similar(key, self.keys.iter().copied()) {
            Some(meant) => format!("unknown key: did you mean `{meant}`?"),
            None => format!("unknown key: expected {}", listed(self.keys, ToString::to_string)),
        }
    }
}
