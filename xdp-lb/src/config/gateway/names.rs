//! Names of tables, and what refers to them.

use crate::config::rules::{Refusal, Rule, name};
use crate::config::section::{Field, Section};
use crate::config::similar::similar;

/// The names of an array of tables, in the file's order.
pub(super) struct Names {
    header: &'static str,
    names: Vec<Field<String>>,
}

impl Names {
    /// Reads `name` of each table. No two may be equal.
    pub(super) fn read(tables: &[Section<'_>], header: &'static str) -> Self {
        let names: Vec<Field<String>> = tables.iter().map(|table| table.required("name", name())).collect();
        if let Some(first) = tables.first() {
            let given = names.iter().filter_map(|field| Some((field.value.as_ref()?, &field.place)));
            first.source().unique(given, |line| {
                format!("the {header} in line {line} has this name too: give each its own")
            });
        }
        Self { header, names }
    }

    /// Each name, `None` where it is wrong.
    pub(super) fn each(&self) -> impl Iterator<Item = Option<String>> + '_ {
        self.names.iter().map(|field| field.value.clone())
    }

    /// One of the names, as its index.
    pub(super) fn rule(&self) -> Rule<'_, usize> {
        let article = if self.header == "[[openapi]]" { "an" } else { "a" };
        Rule::string(format!("the name of {article} {}", self.header), |text| {
            let mut known = self.names.iter().map(|field| field.value.as_deref());
            if let Some(index) = known.position(|name| name == Some(text)) {
                return Ok(index);
            }
            let known = self.names.iter().filter_map(|field| field.value.as_deref());
            Err(Refusal::Hint(match similar(text, known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None if self.names.is_empty() => format!("there is no {}", self.header),
                None => "there is none of this name".to_owned(),
            }))
        })
    }
}
