use std::cmp::Reverse;
use std::sync::Arc;

/// A path's pattern without the names of its parameters: which paths fit, and what of them the parameters are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape(Vec<Segment>);

/// What is between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Text(String),
    /// A parameter with the text around it; at least one byte.
    Parameter {
        before: String,
        after: String,
    },
    /// The rest of the path, slashes included; at least one byte.
    Rest {
        before: String,
    },
}

/// Text or not, text before, kind, text after; and what tells those apart that are equally specific.
type Rank<'a> = (u8, Reverse<usize>, u8, Reverse<usize>, &'a str);

impl Shape {
    /// From matchit's syntax, with the names of the parameters.
    pub(super) fn parse(pattern: &str) -> Result<(Self, Vec<Arc<str>>), &'static str> {
        let mut segments = vec![Segment::Text(String::new())];
        let mut names = Vec::new();
        let mut rest = pattern;
        while let Some(next) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                push(&mut segments, next)?;
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or("has a `{` without a `}`")?;
                open(&mut segments, name.starts_with('*'))?;
                let name = name.strip_prefix('*').unwrap_or(name);
                if name.is_empty() || name.contains(['/', '*', '{']) {
                    return Err("has a parameter without a proper name");
                }
                names.push(name.into());
                rest = after;
            } else if next == '}' {
                return Err("has a `}` without a `{`");
            } else {
                rest = &rest[next.len_utf8()..];
                match (next, segments.last()) {
                    ('/', Some(Segment::Rest { .. })) => {
                        return Err("goes on after the parameter for its rest");
                    }
                    ('/', _) => segments.push(Segment::Text(String::new())),
                    _ => push(&mut segments, next)?,
                }
            }
        }
        Ok((Self(segments), names))
    }

    /// Whether only one path fits.
    pub(super) fn is_exact(&self) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Text(_)))
    }

    /// Whether there is text between a parameter and its segment's end.
    pub(super) fn has_text_after(&self) -> bool {
        self.0.iter().any(|segment| matches!(segment, Segment::Parameter { after, .. } if !after.is_empty()))
    }

    /// What orders shapes that fit the same path, the most specific first: by the first segment that differs. Text goes
    /// before a parameter. Of parameters that with the longest text before it comes first, then one of a segment before
    /// one for the path's rest, then that with the longest text after it. So does a radix tree find them.
    pub(super) fn rank(&self) -> Vec<Rank<'_>> {
        let rank = |segment: &'_ Segment| match segment {
            Segment::Text(_) => (0, 0, 0),
            Segment::Parameter { before, after } => (before.len(), 1, after.len()),
            Segment::Rest { before } => (before.len(), 2, 0),
        };
        let whole = |segment| {
            let (before, kind, after) = rank(segment);
            (kind.min(1), Reverse(before), kind, Reverse(after), segment.around().0)
        };
        self.0.iter().map(whole).collect()
    }

    /// What of the path the parameters are; `None` where it does not fit.
    pub(super) fn capture<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut values = Vec::new();
        let mut left = Some(path);
        for segment in &self.0 {
            let text = left?;
            let (here, next) = match text.split_once('/') {
                Some((here, next)) => (here, Some(next)),
                None => (text, None),
            };
            match segment {
                Segment::Text(text) if text == here => {}
                Segment::Text(_) => return None,
                Segment::Parameter { before, after } => {
                    let value = here.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                    values.push(Some(value).filter(|value| !value.is_empty())?);
                }
                Segment::Rest { before } => {
                    let value = text.strip_prefix(before.as_str())?;
                    values.push(Some(value).filter(|value| !value.is_empty())?);
                    return Some(values);
                }
            }
            left = next;
        }
        left.is_none().then_some(values)
    }

    /// Whether some path may fit both. Where this is not told easily, yes.
    pub(super) fn may_share(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        loop {
            let Some((one, two)) = pairs.next() else { return self.0.len() == other.0.len() };
            let (before, after) = (one.around(), two.around());
            if !(before.0.starts_with(after.0) || after.0.starts_with(before.0)) {
                return false;
            }
            match (one, two) {
                (Segment::Rest { .. }, _) | (_, Segment::Rest { .. }) => return true,
                (Segment::Text(one), Segment::Text(two)) if one != two => return false,
                _ if !(before.1.ends_with(after.1) || after.1.ends_with(before.1)) => return false,
                _ => {}
            }
        }
    }
}

impl Segment {
    /// What it begins and ends with.
    fn around(&self) -> (&str, &str) {
        match self {
            Self::Text(text) => (text, text),
            Self::Parameter { before, after } => (before, after),
            Self::Rest { before } => (before, ""),
        }
    }
}

/// One more character of the last segment.
fn push(segments: &mut [Segment], next: char) -> Result<(), &'static str> {
    match segments.last_mut() {
        Some(Segment::Text(text) | Segment::Parameter { after: text, .. }) => text.push(next),
        Some(Segment::Rest { .. }) | None => return Err("goes on after the parameter for its rest"),
    }
    Ok(())
}

/// The last segment has a parameter.
fn open(segments: &mut [Segment], whole: bool) -> Result<(), &'static str> {
    let Some(last) = segments.last_mut() else { return Ok(()) };
    let Segment::Text(text) = last else { return Err("has two parameters in one segment") };
    let before = std::mem::take(text);
    *last =
        if whole { Segment::Rest { before } } else { Segment::Parameter { before, after: String::new() } };
    Ok(())
}
