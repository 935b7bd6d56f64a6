//! Which route a request takes: by host, path, method, headers and query. Decides; changes nothing and sends nothing.
//!
//! A host that is named goes before a wildcard, the longest first, and that before any host. Below a host an exact path
//! goes before one with parameters, that before a prefix, a longer prefix before a shorter. Of one path's routes the
//! file's first whose method and conditions fit is taken. Where none of them fits, the next less specific path is tried,
//! then the next less specific host.
//!
//! Paths are compared by one spelling of each, see `spelling`: `%40` is `@`, and `%c3` is `%C3`. A request whose path could
//! be read in two ways was refused before. The values of parameters are decoded; what is no UTF-8 in them becomes U+FFFD,
//! and is no way around the route.
//!
//! What follows a `;` in a segment is a parameter of it, which some servers take off before they look at a path, and
//! others do not. A path with such is searched for both ways, and has to lead to the same route. So is one with `%2F` or
//! `//`, where these are let pass: read as a server may read it, it leads to the same route or to none.

mod choose;
mod conditions;
mod methods;
mod scope;
mod shape;
#[cfg(test)]
mod speed;
mod spelling;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use http::request::Parts;

use self::conditions::Conditions;
use self::methods::{Methods, Missed};
use self::scope::{Draft, Scope};
use crate::config::gateway::{HostPattern, PathPattern, Route};
use crate::gateway::enforce::check_path;

pub use choose::choose;

/// All routes, to be searched.
#[derive(Debug)]
pub struct Table {
    rules: Vec<Rule>,
    exact: HashMap<Box<str>, Scope>,
    below: HashMap<Box<str>, Scope>,
    /// Bytes of the longest name in `below`.
    longest_below: usize,
    any: Scope,
}

/// What came of a search.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// This one.
    Route(Found),
    /// There are routes, but none for this method.
    WrongMethod {
        /// Methods that there are routes for: the answer's `Allow`.
        allow: HeaderValue,
    },
    /// One or another, by how the path is read.
    Ambiguous,
    /// None.
    None,
}

/// A route, and what its path holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its index.
    pub route: usize,
    /// The path's parameters, decoded.
    pub parameters: Vec<(Arc<str>, Box<str>)>,
    /// Where in the path that begins which follows the route's prefix; the path's length where the route has none.
    pub rest: usize,
}

impl Found {
    /// What follows the route's prefix in the path that was searched for: empty, or begins with a `/`, or is the `*` of
    /// `OPTIONS *` where the prefix is any path's.
    pub fn rest<'p>(&self, path: &'p str) -> &'p str {
        path.get(self.rest..).unwrap_or_default()
    }
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A path is no pattern.
    #[error(
        "route `{route}`: the path `{path}` {cause}; a segment holds at most one `{{name}}`, and `{{*name}}` ends the path"
    )]
    Path {
        /// The route's name.
        route: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A regular expression does not compile.
    #[error("route `{route}`: the expression `{expression}` does not compile as a whole: {cause}")]
    Expression {
        /// The route's name.
        route: String,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// What a route demands beside host and path.
#[derive(Debug)]
struct Rule {
    methods: Methods,
    conditions: Conditions,
    /// Whether the gateway answers preflights for it.
    cors: bool,
    /// Whether its path holds a `;` itself.
    names_parameters: bool,
}

impl Table {
    /// Of these routes; a route's index is its place among them.
    pub fn build(routes: &[Route]) -> Result<Self, BuildError> {
        let canonical = |route: &Route| {
            let mut route = route.clone();
            let (PathPattern::Path(path) | PathPattern::Prefix(path)) = &mut route.path;
            *path = spelling::canonical(path).into_owned();
            route
        };
        let routes = &routes.iter().map(canonical).collect::<Vec<_>>()[..];
        let mut rules = Vec::with_capacity(routes.len());
        let (mut exact, mut below, mut any) = (HashMap::new(), HashMap::new(), Draft::default());
        for (index, route) in routes.iter().enumerate() {
            rules.push(Rule {
                methods: Methods::new(&route.methods),
                conditions: Conditions::build(route)?,
                cors: route.cors.is_some(),
                names_parameters: match &route.path {
                    PathPattern::Path(path) | PathPattern::Prefix(path) => path.contains(';'),
                },
            });
            if route.hosts.is_empty() {
                any.add(index, route)?;
            }
            for host in &route.hosts {
                let (scopes, name): (&mut HashMap<Box<str>, Draft>, _) = match host {
                    HostPattern::Exact(name) => (&mut exact, name),
                    HostPattern::Below(name) => (&mut below, name),
                };
                scopes.entry(name.as_str().into()).or_default().add(index, route)?;
            }
        }
        let finish = |drafts: HashMap<Box<str>, Draft>| {
            drafts
                .into_iter()
                .map(|(name, draft)| Ok((name, draft.finish(routes)?)))
                .collect::<Result<_, _>>()
        };
        let longest_below = below.keys().map(|name| name.len()).max().unwrap_or(0);
        Ok(Self {
            rules,
            exact: finish(exact)?,
            below: finish(below)?,
            longest_below,
            any: any.finish(routes)?,
        })
    }

    /// The route for this head, asked of this host: in lower case, without a port.
    ///
    /// A preflight of the Fetch standard goes to the route of the request that it asks about, where the gateway answers
    /// preflights for that route. As it does not bring the headers of that request, conditions on headers that find no
    /// route are let be for it.
    pub fn find(&self, head: &Parts, host: &str) -> Match {
        let host = host.strip_suffix('.').unwrap_or(host);
        let sent = head.uri.path();
        let path = spelling::canonical(sent);
        let mut found = self.find_path(Asked::of(head, &path), host);
        if let Match::Route(Found { route, rest, .. }) = &mut found {
            let names_parameters = self.rules[*route].names_parameters;
            let leads_there = |reading: &spelling::Reading| {
                // Without what follows a `;`, a segment may be one of dots, or none.
                check_path(&reading.path, reading.paths).is_ok()
                    && match self.find_path(Asked::of(head, &reading.path), host) {
                        Match::Route(other) => other.route == *route,
                        Match::None => reading.may_lead_nowhere,
                        Match::WrongMethod { .. } | Match::Ambiguous => false,
                    }
            };
            if !spelling::readings(&path, names_parameters).iter().all(leads_there) {
                return Match::Ambiguous;
            }
            if matches!(path, Cow::Owned(_)) {
                *rest = spelling::sent(sent, *rest);
            }
        }
        found
    }

    fn find_path(&self, mut asked: Asked<'_>, host: &str) -> Match {
        let mut missed = Missed::default();
        if let Some(found) = self.search(&asked, host, &mut missed) {
            return Match::Route(found);
        }
        if asked.preflight.is_some() {
            asked.blind = true;
            if let Some(found) = self.search(&asked, host, &mut missed) {
                return Match::Route(found);
            }
            asked.blind = false;
        }
        if !missed.any() {
            return Match::None;
        }
        // The names of methods are gathered only now that they are needed.
        let mut missed = Missed::gathering();
        let _ = self.search(&asked, host, &mut missed);
        Match::WrongMethod { allow: missed.allow() }
    }

    fn search(&self, asked: &Asked<'_>, host: &str, missed: &mut Missed) -> Option<Found> {
        if let Some(scope) = self.exact.get(host)
            && let Some(found) = scope.find(&self.rules, asked, missed)
        {
            return Some(found);
        }
        if !self.below.is_empty() && !host.starts_with('.') {
            let mut name = host;
            while let Some((_, suffix)) = name.split_once('.') {
                name = suffix;
                if name.len() <= self.longest_below
                    && let Some(scope) = self.below.get(name)
                    && let Some(found) = scope.find(&self.rules, asked, missed)
                {
                    return Some(found);
                }
            }
        }
        self.any.find(&self.rules, asked, missed)
    }
}

/// A request, as routes look at it.
struct Asked<'a> {
    head: &'a Parts,
    path: &'a str,
    /// The method that a preflight asks about.
    preflight: Option<&'a [u8]>,
    /// Whether conditions on headers are let be.
    blind: bool,
}

impl<'a> Asked<'a> {
    fn of(head: &'a Parts, path: &'a str) -> Self {
        let preflight = crate::gateway::transform::cors::preflight_method(head);
        Self { head, path, preflight, blind: false }
    }
}

impl Rule {
    /// Whether it takes the request, the path not looked at.
    fn takes(&self, asked: &Asked<'_>, missed: &mut Missed) -> bool {
        // A preflight that the gateway does not answer is a request like others: it goes to a server.
        if !self.conditions.hold(asked.head, asked.blind && self.cors) {
            return false;
        }
        let fits = match asked.preflight {
            Some(method) if self.cors => self.methods.hold(method),
            _ => self.methods.hold(asked.head.method.as_str().as_bytes()),
        };
        if !fits {
            missed.add(&self.methods);
        }
        fits
    }
}
