use std::collections::HashMap;
use std::sync::Arc;

use matchit::{InsertError, Router};
use percent_encoding::percent_decode_str;

use super::methods::Missed;
use super::shape::Shape;
use super::{Asked, BuildError, Found, Rule};
use crate::config::gateway::{PathPattern, Route};

/// The routes of one host.
#[derive(Debug)]
pub(super) struct Scope {
    /// Finds the first of `patterns` that fits. More than one only where patterns overlap in a way that one tree cannot
    /// hold, as `/{a}` and `/{*b}`.
    trees: Vec<Router<usize>>,
    /// Those of `patterns` with text after a parameter: where such a one does not fit, a tree does not come back to a
    /// parameter without it, and so would miss others.
    loose: Vec<usize>,
    /// The most specific first.
    patterns: Vec<Pattern>,
    /// Finds the longest of `prefixes` that fits.
    prefix_tree: Router<usize>,
    prefixes: Vec<Prefix>,
    /// That of `prefixes` that fits any path.
    root: Option<usize>,
}

#[derive(Debug)]
struct Pattern {
    shape: Shape,
    /// In the file's order.
    candidates: Vec<Candidate>,
    /// Less specific patterns, some of whose paths may be of this one too.
    next: Vec<usize>,
}

#[derive(Debug)]
struct Candidate {
    route: usize,
    names: Box<[Arc<str>]>,
}

#[derive(Debug)]
struct Prefix {
    bytes: usize,
    /// In the file's order.
    routes: Vec<usize>,
    /// The next shorter one that fits wherever this one does.
    shorter: Option<usize>,
}

impl Scope {
    pub(super) fn find(&self, rules: &[Rule], asked: &Asked<'_>, missed: &mut Missed) -> Option<Found> {
        let planted = self.trees.iter().filter_map(|tree| tree.at(asked.path).ok());
        let planted = planted.min_by_key(|found| *found.value);
        let before = planted.as_ref().map_or(usize::MAX, |found| *found.value);
        let loose = self.loose.iter().take_while(|index| **index < before);
        let mut loose =
            loose.filter_map(|&index| Some((index, self.patterns[index].shape.capture(asked.path)?)));
        let first = match (loose.next(), &planted) {
            (Some((index, values)), _) => {
                let found = self.patterns[index].find(rules, asked, missed, || values.iter().copied());
                Some((index, found))
            }
            (None, Some(planted)) => {
                let values = || planted.params.iter().map(|(_, value)| value);
                Some((*planted.value, self.patterns[*planted.value].find(rules, asked, missed, values)))
            }
            (None, None) => None,
        };
        if let Some((first, found)) = first {
            if found.is_some() {
                return found;
            }
            let pattern = &self.patterns[first];
            for &next in &pattern.next {
                let next = &self.patterns[next];
                if let Some(values) = next.shape.capture(asked.path)
                    && let Some(found) = next.find(rules, asked, missed, || values.iter().copied())
                {
                    return Some(found);
                }
            }
        }
        let mut next = self.prefix_tree.at(asked.path).ok().map(|found| *found.value).or(self.root);
        while let Some(index) = next {
            let prefix = &self.prefixes[index];
            let fits = |route: &&usize| rules[**route].takes(asked, missed);
            if let Some(&route) = prefix.routes.iter().find(fits) {
                return Some(Found { route, parameters: Vec::new(), rest: prefix.bytes });
            }
            next = prefix.shorter;
        }
        None
    }
}

impl Pattern {
    fn find<'p, V: Iterator<Item = &'p str>>(
        &self,
        rules: &[Rule],
        asked: &Asked<'_>,
        missed: &mut Missed,
        values: impl Fn() -> V,
    ) -> Option<Found> {
        let candidate = self.candidates.iter().find(|one| rules[one.route].takes(asked, missed))?;
        let value = |text| percent_decode_str(text).decode_utf8_lossy().into_owned().into_boxed_str();
        let pairs = candidate.names.iter().cloned().zip(values());
        let parameters = pairs.map(|(name, text)| (name, value(text))).collect();
        Some(Found { route: candidate.route, parameters, rest: asked.path.len() })
    }
}

/// A scope to be.
#[derive(Default)]
pub(super) struct Draft {
    patterns: HashMap<Shape, Vec<Candidate>>,
    prefixes: HashMap<String, Vec<usize>>,
}

impl Draft {
    pub(super) fn add(&mut self, index: usize, route: &Route) -> Result<(), BuildError> {
        match &route.path {
            PathPattern::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/').to_owned();
                self.prefixes.entry(prefix).or_default().push(index);
            }
            PathPattern::Path(path) => {
                let (shape, names) = Shape::parse(path).map_err(|cause| error(route, path, cause))?;
                let candidate = Candidate { route: index, names: names.into() };
                self.patterns.entry(shape).or_default().push(candidate);
            }
        }
        Ok(())
    }

    /// `routes`: those whose indexes were added.
    pub(super) fn finish(self, routes: &[Route]) -> Result<Scope, BuildError> {
        let (patterns, trees) = plant(sorted(self.patterns), routes)?;
        let loose = (0..patterns.len()).filter(|&index| patterns[index].shape.has_text_after()).collect();
        let (prefixes, prefix_tree, root) = plant_prefixes(self.prefixes, routes)?;
        Ok(Scope { trees, loose, patterns, prefix_tree, prefixes, root })
    }
}

/// By rank, each with those less specific that may fit the same path.
fn sorted(shapes: HashMap<Shape, Vec<Candidate>>) -> Vec<Pattern> {
    let mut patterns: Vec<_> = shapes
        .into_iter()
        .map(|(shape, candidates)| Pattern { shape, candidates, next: Vec::new() })
        .collect();
    let first = |pattern: &Pattern| pattern.candidates.first().map(|candidate| candidate.route);
    patterns.sort_by(|one, two| (one.shape.rank(), first(one)).cmp(&(two.shape.rank(), first(two))));
    let open: Vec<_> = (0..patterns.len()).filter(|&index| !patterns[index].shape.is_exact()).collect();
    for index in 0..patterns.len() {
        let shape = &patterns[index].shape;
        let next = |other: &usize| *other > index && shape.may_share(&patterns[*other].shape);
        patterns[index].next = open.iter().copied().filter(next).collect();
    }
    patterns
}

/// Each pattern into the first tree that holds it beside the others.
fn plant(patterns: Vec<Pattern>, routes: &[Route]) -> Result<(Vec<Pattern>, Vec<Router<usize>>), BuildError> {
    let text = |index: usize| {
        let route = patterns[index].candidates.first().and_then(|candidate| routes.get(candidate.route))?;
        if let PathPattern::Path(path) = &route.path { Some((route, path)) } else { None }
    };
    let mut planted: Vec<(Router<usize>, Vec<usize>)> = Vec::new();
    for index in (0..patterns.len()).filter(|&index| !patterns[index].shape.has_text_after()) {
        let Some((route, path)) = text(index) else { continue };
        let mut place = 0;
        loop {
            if place == planted.len() {
                planted.push((Router::new(), Vec::new()));
            }
            let (tree, members) = &mut planted[place];
            match tree.insert(path.as_str(), index) {
                Ok(()) => {
                    members.push(index);
                    break;
                }
                Err(InsertError::Conflict { .. }) if !members.is_empty() => {
                    // An insertion that fails may have left something behind.
                    *tree = Router::new();
                    for &member in members.iter() {
                        if let Some((route, path)) = text(member) {
                            tree.insert(path.as_str(), member).map_err(|cause| error(route, path, cause))?;
                        }
                    }
                    place += 1;
                }
                Err(cause) => return Err(error(route, path, cause)),
            }
        }
    }
    let trees = planted.into_iter().map(|(tree, _)| tree).collect();
    Ok((patterns, trees))
}

type PrefixTree = (Vec<Prefix>, Router<usize>, Option<usize>);

fn plant_prefixes(drafts: HashMap<String, Vec<usize>>, routes: &[Route]) -> Result<PrefixTree, BuildError> {
    let texts: Vec<_> = drafts.into_iter().collect();
    let places: HashMap<_, _> =
        texts.iter().enumerate().map(|(place, (text, _))| (text.as_str(), place)).collect();
    let mut tree = Router::new();
    let mut prefixes = Vec::with_capacity(texts.len());
    for (place, (text, candidates)) in texts.iter().enumerate() {
        let literal = text.replace('{', "{{").replace('}', "}}");
        for ending in ["", "/", "/{*rest}"] {
            let whole = format!("{literal}{ending}");
            if !whole.is_empty() {
                let planted = tree.insert(whole, place);
                planted.map_err(|cause| {
                    let name =
                        candidates.first().and_then(|route| routes.get(*route)).map(|route| &route.name);
                    let route = name.cloned().unwrap_or_default();
                    BuildError::Path { route, path: text.clone(), cause: format!("is no prefix ({cause})") }
                })?;
            }
        }
        let mut shorter = text.as_str();
        let shorter = std::iter::from_fn(|| {
            shorter = shorter.rsplit_once('/')?.0;
            Some(shorter)
        });
        let shorter = shorter.filter_map(|text| places.get(text).copied()).next();
        prefixes.push(Prefix { bytes: text.len(), routes: candidates.clone(), shorter });
    }
    Ok((prefixes, tree, places.get("").copied()))
}

fn error(route: &Route, path: &str, cause: impl ToString) -> BuildError {
    BuildError::Path { route: route.name.clone(), path: path.to_owned(), cause: cause.to_string() }
}
