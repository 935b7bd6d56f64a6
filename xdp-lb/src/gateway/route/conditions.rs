use http::HeaderName;
use http::request::Parts;
use regex::bytes::Regex;

use super::BuildError;
use crate::config::gateway::{Condition, Route, Test};
use crate::gateway::transform::query;

/// What has to be so of headers and query, all of it.
#[derive(Debug)]
pub(super) struct Conditions(Box<[Compiled]>);

#[derive(Debug)]
enum Compiled {
    Header(HeaderName, Check),
    Query(String, Check),
}

#[derive(Debug)]
enum Check {
    Present,
    Absent,
    Is(Box<[u8]>),
    Matches(Box<Regex>),
}

impl Conditions {
    pub(super) fn build(route: &Route) -> Result<Self, BuildError> {
        let compile = |condition: &Condition| {
            Ok(match condition {
                Condition::Header(name, test) => Compiled::Header(name.clone(), Check::build(route, test)?),
                Condition::Query(name, test) => Compiled::Query(name.clone(), Check::build(route, test)?),
            })
        };
        Ok(Self(route.conditions.iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// Whether they hold; `blind`: conditions on headers are let be.
    pub(super) fn hold(&self, head: &Parts, blind: bool) -> bool {
        self.0.iter().all(|condition| match condition {
            Compiled::Header(..) if blind => true,
            Compiled::Header(name, check) => {
                check.holds_for_some(head.headers.get_all(name).iter().map(http::HeaderValue::as_bytes))
            }
            Compiled::Query(name, check) => {
                check.holds_for_some(query::values(head.uri.query().unwrap_or_default(), name))
            }
        })
    }
}

impl Check {
    fn build(route: &Route, test: &Test) -> Result<Self, BuildError> {
        Ok(match test {
            Test::Present => Self::Present,
            Test::Absent => Self::Absent,
            Test::Is(value) => Self::Is(value.as_bytes().into()),
            Test::Matches(expression) => {
                Self::Matches(Box::new(Regex::new(&format!("^(?:{expression})$")).map_err(|error| {
                    BuildError::Expression {
                        route: route.name.clone(),
                        expression: expression.clone(),
                        cause: error.to_string(),
                    }
                })?))
            }
        })
    }

    fn holds_for_some(&self, mut values: impl Iterator<Item = impl AsRef<[u8]>>) -> bool {
        match self {
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            Self::Is(wanted) => values.any(|value| value.as_ref() == &wanted[..]),
            Self::Matches(expression) => values.any(|value| expression.is_match(value.as_ref())),
        }
    }
}
