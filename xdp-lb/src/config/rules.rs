//! What a value may be: each rule reads it, or says what is allowed.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use super::live::Ratio;
use super::similar::similar;

/// How a value is read, and what is allowed in words: "expected …".
pub(super) struct Rule<'r, T> {
    /// What is allowed.
    pub expected: Cow<'r, str>,
    /// Reads it.
    pub read: Box<Read<'r, T>>,
}

type Read<'r, T> = dyn Fn(&DeValue<'_>) -> Result<T, Refusal> + 'r;

/// Why a value was not taken.
pub(super) enum Refusal {
    /// It is not what is expected, and there is no more to say.
    Unexpected,
    /// The same, and this mends it.
    Hint(String),
}

impl<'r, T> Rule<'r, T> {
    pub(super) fn new(
        expected: impl Into<Cow<'r, str>>,
        read: impl Fn(&DeValue<'_>) -> Result<T, Refusal> + 'r,
    ) -> Self {
        Self { expected: expected.into(), read: Box::new(read) }
    }

    /// A string that `read` takes.
    pub(super) fn string(
        expected: impl Into<Cow<'r, str>>,
        read: impl Fn(&str) -> Result<T, Refusal> + 'r,
    ) -> Self {
        Self::new(expected, move |value| match value {
            DeValue::String(text) => read(text),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                Err(Refusal::Hint("write it in quotes".into()))
            }
            _ => Err(Refusal::Unexpected),
        })
    }
}

/// An integer in `range`; `meaning` is appended to what is expected.
pub(super) fn integer(range: RangeInclusive<u32>, meaning: &str) -> Rule<'static, u32> {
    let expected = format!("an integer from {} to {}{meaning}", range.start(), range.end());
    integer_as(expected, move |number| range.contains(&number).then_some(number))
}

/// An integer that `accept` takes further.
pub(super) fn integer_as<'r, T>(
    expected: impl Into<Cow<'r, str>>,
    accept: impl Fn(u32) -> Option<T> + 'r,
) -> Rule<'r, T> {
    Rule::new(expected, move |value| match value {
        DeValue::Integer(number) => {
            unsigned(number).and_then(|n| u32::try_from(n).ok()).and_then(&accept).ok_or(Refusal::Unexpected)
        }
        DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
            Err(Refusal::Hint("write it without quotes".into()))
        }
        _ => Err(Refusal::Unexpected),
    })
}

/// A number whose thousandths are in `range`. Finer ones are refused: two numbers that differ in the file shall differ.
pub(super) fn ratio(range: RangeInclusive<u32>) -> Rule<'static, Ratio> {
    let bound = |thousandths: &u32| decimal(Ratio::thousandths(*thousandths));
    let expected = format!("a number from {} to {}", bound(range.start()), bound(range.end()));
    Rule::new(expected, move |value| {
        let written = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::String(text) if text.trim().parse::<f64>().is_ok() => {
                return Err(Refusal::Hint("write it without quotes".into()));
            }
            DeValue::String(text) if text.trim().ends_with('%') => {
                return Err(Refusal::Hint("write a share as a fraction, 25 % as 0.25".into()));
            }
            _ => return Err(Refusal::Unexpected),
        };
        let exact = written.parse::<f64>().map_err(|_| Refusal::Unexpected)? * 1000.0;
        // What is no number is in no range.
        if !(0.0..=MOST_THOUSANDTHS).contains(&exact) {
            return Err(Refusal::Unexpected);
        }
        let thousandths = exact.round() as u32;
        let nearest = Ratio::thousandths(thousandths);
        if !range.contains(&thousandths) {
            Err(Refusal::Unexpected)
        } else if (exact - f64::from(thousandths)).abs() > ROUNDING {
            Err(Refusal::Hint(format!("three decimals at most, write {}", decimal(nearest))))
        } else {
            Ok(nearest)
        }
    })
}

/// Largest ratio there is.
const MOST_THOUSANDTHS: f64 = 1_000_000.0;

/// More than floating point loses of a decimal fraction below that, and less than any digit means.
const ROUNDING: f64 = 1e-9;

/// A ratio as people write it: `0.25`.
pub(super) fn decimal(ratio: Ratio) -> String {
    ratio.get().to_string()
}

/// A text of at most `longest` bytes.
pub(super) fn text(longest: usize) -> Rule<'static, String> {
    Rule::string(format!("a text of at most {longest} bytes"), move |text| {
        if text.len() <= longest { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// A port number, 0 where `any` says what that means.
pub(super) fn port(any: Option<&str>) -> Rule<'static, u16> {
    let range = integer(if any.is_some() { 0..=65_535 } else { 1..=65_535 }, any.unwrap_or_default());
    let (expected, read) = (range.expected, range.read);
    Rule::new(expected, move |value| {
        read(value).and_then(|port| u16::try_from(port).map_err(|_| Refusal::Unexpected))
    })
}

/// 64 bits, as an integer or as a string of hexadecimal digits.
pub(super) fn seed() -> Rule<'static, u64> {
    let expected =
        "an integer from 0 to 18446744073709551615, or a string of up to 16 hexadecimal digits after 0x";
    Rule::new(expected, |value| {
        let read = match value {
            DeValue::Integer(number) => unsigned(number),
            DeValue::String(text) => text
                .strip_prefix("0x")
                .filter(|digits| !digits.starts_with('+'))
                .and_then(|digits| u64::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        read.ok_or(Refusal::Unexpected)
    })
}

/// `true` or `false`.
pub(super) fn boolean() -> Rule<'static, bool> {
    Rule::new("true or false", |value| match value {
        DeValue::Boolean(value) => Ok(*value),
        DeValue::String(text) if ["true", "false"].contains(&text.as_ref()) => {
            Err(Refusal::Hint("write it without quotes".into()))
        }
        _ => Err(Refusal::Unexpected),
    })
}

/// One of a few words. `refused` are words that somebody might expect, and why they are not there.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
    refused: &'static [(&'static str, &'static str)],
) -> Rule<'static, T> {
    Rule::string(listed(words, |(word, _)| format!("{word:?}")), |text| {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        if let Some((_, reason)) = refused.iter().find(|(word, _)| *word == text) {
            return Err(Refusal::Hint((*reason).to_owned()));
        }
        Err(match similar(text, words.iter().map(|(word, _)| *word)) {
            Some(meant) => Refusal::Hint(format!("did you mean {meant:?}?")),
            None => Refusal::Unexpected,
        })
    })
}

/// A duration in `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> Rule<'static, Duration> {
    let expected = format!("a duration from {} to {}", shown(*range.start()), shown(*range.end()));
    Rule::new(expected, move |value| match value {
        DeValue::String(text) => {
            let duration =
                humantime::parse_duration(text).map_err(|_| Refusal::Hint("write it as \"2s\"".into()))?;
            if range.contains(&duration) { Ok(duration) } else { Err(Refusal::Unexpected) }
        }
        DeValue::Integer(number) => Err(Refusal::Hint(format!("write the unit too, as \"{number}s\""))),
        DeValue::Float(_) => Err(Refusal::Hint("write it with a unit, as \"500ms\"".into())),
        _ => Err(Refusal::Unexpected),
    })
}

/// A duration of whole seconds in `range`.
pub(super) fn whole_seconds(range: RangeInclusive<Duration>) -> Rule<'static, Duration> {
    let Rule { expected, read } = duration(range);
    Rule::new(expected, move |value| match read(value)? {
        duration if duration.subsec_nanos() == 0 => Ok(duration),
        _ => Err(Refusal::Hint("whole seconds only".into())),
    })
}

/// A duration as people write it: `1h 30m`.
pub(super) fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// An absolute path of at most `longest` bytes.
pub(super) fn absolute_path(longest: usize) -> Rule<'static, PathBuf> {
    Rule::string(format!("an absolute path of at most {longest} bytes"), move |text| {
        let fits = text.starts_with('/') && text.len() <= longest && !text.contains('\0');
        if fits { Ok(PathBuf::from(text)) } else { Err(Refusal::Unexpected) }
    })
}

/// Any text of so many bytes.
pub(super) fn bounded_text(length: RangeInclusive<usize>) -> Rule<'static, String> {
    Rule::string(format!("text of {} to {} bytes", length.start(), length.end()), move |text| {
        if length.contains(&text.len()) { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// The name of a VIP or backend: it appears on command lines, in metrics and in logs.
pub(super) fn name() -> Rule<'static, String> {
    let expected = "a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit";
    Rule::string(expected, |text| {
        let fits = (1..=63).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// "a, b or c".
pub(super) fn listed<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    match items {
        [] => "nothing".to_owned(),
        [only] => show(only),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(&show).collect();
            format!("{} or {}", most.join(", "), show(last))
        }
    }
}

fn unsigned(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}
