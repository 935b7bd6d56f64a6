//! Rules for what is written of HTTP: names of headers, methods, numbers of bytes, statuses, pointers, claims.

use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use http::{HeaderName, HeaderValue, Method};
use toml::de::DeValue;

use super::model::ClaimTest;
use crate::config::net::status_codes;
use crate::config::rules::{Refusal, Rule};
use crate::config::section::Section;

/// A list in which nothing is named twice; `None` when it is wrong.
pub(super) fn set<T: Clone + Eq + Hash>(
    section: &Section<'_>,
    key: &'static str,
    expected: &str,
    count: RangeInclusive<usize>,
    rule: Rule<'_, T>,
    default: Vec<T>,
) -> Option<Vec<T>> {
    let Some(fields) = section.list(key, expected, count, rule) else { return Some(default) };
    let found = fields.iter().filter_map(|field| Some((field.value.clone()?, &field.place)));
    section.source().unique(found, |line| format!("named in line {line} already: name each once"));
    fields.into_iter().map(|field| field.value).collect()
}

/// Header names that cannot be used in some place, and why.
pub(super) type RefusedHeaders = &'static [(&'static str, &'static str)];

/// Headers that belong to one connection or frame a message: whoever changes them cuts messages in two.
pub(super) const FRAMING: RefusedHeaders = &[
    ("connection", HOP),
    ("http2-settings", HOP),
    ("keep-alive", HOP),
    ("proxy-authenticate", HOP),
    ("proxy-authorization", HOP),
    ("proxy-connection", HOP),
    ("te", HOP),
    ("trailer", HOP),
    ("transfer-encoding", HOP),
    ("upgrade", HOP),
    ("content-length", "the gateway writes it by the body's length"),
    ("host", "a route changes the host by request.host"),
];

const HOP: &str = "it belongs to one connection, and the gateway writes it itself";

/// Headers that hold secrets.
pub(super) const SECRET: RefusedHeaders = &[
    ("authorization", HOLDS_SECRETS),
    ("proxy-authorization", HOLDS_SECRETS),
    ("cookie", HOLDS_SECRETS),
    ("set-cookie", HOLDS_SECRETS),
    ("x-api-key", HOLDS_SECRETS),
];

const HOLDS_SECRETS: &str = "it holds secrets, which are never logged";

/// A header's name.
pub(super) fn header(refused: RefusedHeaders) -> Rule<'static, HeaderName> {
    Rule::string("the name of a header, as \"x-tenant\"", move |text| {
        let name = header_name(text).ok_or(Refusal::Unexpected)?;
        match refused.iter().find(|(refused, _)| *refused == name.as_str()) {
            Some((_, reason)) => Err(Refusal::Hint((*reason).to_owned())),
            None => Ok(name),
        }
    })
}

/// A header's name in lower case.
pub(super) fn header_name(text: &str) -> Option<HeaderName> {
    // `*` is a token, and never meant as a name.
    let fits = (1..=256).contains(&text.len()) && text != "*";
    HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| fits)
}

/// A method.
pub(super) fn method() -> Rule<'static, Method> {
    Rule::string("a method, as \"GET\"", |text| {
        let fits = (1..=32).contains(&text.len());
        let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| fits).ok_or(Refusal::Unexpected)?;
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(Refusal::Hint(format!(
                "methods are in capitals, write {:?}",
                text.to_ascii_uppercase()
            )));
        }
        if method == Method::CONNECT {
            return Err(Refusal::Hint("the gateway is no forward proxy".to_owned()));
        }
        Ok(method)
    })
}

/// A number of bytes, with a unit of 1024 where wanted.
pub(super) fn bytes(range: RangeInclusive<u64>) -> Rule<'static, u64> {
    let expected = format!(
        "a number of bytes from {} to {}, as 65536 or \"64KiB\"",
        shown_bytes(*range.start()),
        shown_bytes(*range.end())
    );
    Rule::new(expected, move |value| {
        let bytes = match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => parse_bytes(text)?,
            _ => None,
        };
        bytes.filter(|bytes| range.contains(bytes)).ok_or(Refusal::Unexpected)
    })
}

/// The same in 32 bits.
pub(super) fn bytes32(range: RangeInclusive<u32>) -> Rule<'static, u32> {
    let Rule { expected, read } = bytes((*range.start()).into()..=(*range.end()).into());
    Rule::new(expected, move |value| {
        read(value).and_then(|bytes| u32::try_from(bytes).map_err(|_| Refusal::Unexpected))
    })
}

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

fn parse_bytes(text: &str) -> Result<Option<u64>, Refusal> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let Ok(number) = number.parse::<u64>() else { return Ok(None) };
    let shift = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, shift)) => *shift,
        None if ["", "B"].contains(&unit) => 0,
        None => {
            return Err(Refusal::Hint(match unit.to_ascii_lowercase().as_str() {
                "k" | "kb" | "kib" => format!("write \"{number}KiB\""),
                "m" | "mb" | "mib" => format!("write \"{number}MiB\""),
                "g" | "gb" | "gib" => format!("write \"{number}GiB\""),
                _ => "units are KiB, MiB, GiB and TiB".to_owned(),
            }));
        }
    };
    Ok(number.checked_mul(1 << shift))
}

fn shown_bytes(bytes: u64) -> String {
    let whole = UNITS.iter().rev().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

/// Statuses of failures, one or a range in each element.
pub(super) fn failures(section: &Section<'_>, key: &'static str, default: &[u16]) -> Option<Vec<u16>> {
    let Rule { read, .. } = status_codes();
    let rule =
        Rule::new("a status or a range of them from 400 to 599, as 503 or \"500-599\"", move |value| {
            read(value).ok().filter(|range| *range.start() >= 400).ok_or(Refusal::Unexpected)
        });
    let expected = "a list of up to 64 statuses or ranges, as [429, \"500-599\"]";
    let ranges =
        set(section, key, expected, 0..=64, rule, default.iter().map(|status| *status..=*status).collect())?;
    let mut statuses: Vec<u16> = ranges.into_iter().flatten().collect();
    statuses.sort_unstable();
    statuses.dedup();
    Some(statuses)
}

/// A JSON pointer to a field; `*` as a segment is every element.
pub(super) fn pointer() -> Rule<'static, String> {
    Rule::string("a JSON pointer to a field, as \"/user/name\" or \"/items/*/price\"", |text| {
        let tildes = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        if text.len() <= 1024 && tildes && text.starts_with('/') {
            return Ok(text.to_owned());
        }
        Err(match text {
            _ if !tildes => Refusal::Hint("`~` is written ~0, and a `/` within a name ~1".to_owned()),
            _ if !text.is_empty() && text.len() < 1024 => {
                Refusal::Hint(format!("write {:?}", format!("/{}", text.replace('.', "/"))))
            }
            _ => Refusal::Unexpected,
        })
    })
}

/// The name of a claim.
pub(super) fn claim_name(text: &str) -> Option<String> {
    let fits = (1..=256).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c == '}');
    fits.then(|| text.to_owned())
}

/// A claim's name, as a key.
pub(super) fn claim() -> Rule<'static, String> {
    Rule::string("the name of a claim, as scope", |text| claim_name(text).ok_or(Refusal::Unexpected))
}

/// What a claim has to be.
pub(super) fn claim_test() -> Rule<'static, ClaimTest> {
    Rule::new("true (it is there), a text, or a list of 1 to 64 texts of which it has to be one", |value| {
        let text = |value: &DeValue<'_>| value.as_str().filter(|text| text.len() <= 1024).map(str::to_owned);
        match value {
            DeValue::Boolean(true) => Ok(ClaimTest::Present),
            DeValue::String(_) => {
                text(value).map(|text| ClaimTest::OneOf(vec![text])).ok_or(Refusal::Unexpected)
            }
            DeValue::Array(texts) if (1..=64).contains(&texts.len()) => {
                let texts: Option<Vec<String>> = texts.iter().map(|value| text(value.get_ref())).collect();
                texts.map(ClaimTest::OneOf).ok_or(Refusal::Unexpected)
            }
            DeValue::Integer(_) | DeValue::Float(_) => Err(Refusal::Hint("write it in quotes".to_owned())),
            _ => Err(Refusal::Unexpected),
        }
    })
}

/// `claims` of a table; `None` when it is wrong.
pub(super) fn claims(section: &Section<'_>) -> Option<Vec<(String, ClaimTest)>> {
    let entries = section.entries("claims", "{ scope = \"read\" }", &claim(), &claim_test());
    entries.into_iter().map(|(name, test)| Some((name.value?, test.value?))).collect()
}

/// A media type with its parameters, as a header's value.
pub(super) fn content_type() -> Rule<'static, String> {
    Rule::string("a media type, as \"application/json\"", |text| {
        let kind = text.split(';').next().unwrap_or_default().trim();
        let fits = text.len() <= 256 && HeaderValue::from_str(text).is_ok() && is_media_type(kind);
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// Media types, one or all of a kind.
pub(super) fn media_range() -> Rule<'static, String> {
    Rule::string("a media type, as \"application/json\" or \"text/*\", in lower case", |text| {
        let fits = is_media_type(text) && !text.starts_with('*') && *text == text.to_ascii_lowercase();
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-*".contains(&byte))
    };
    text.len() <= 256 && text.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
}

/// Address and port of one server.
pub(super) fn server() -> Rule<'static, SocketAddr> {
    Rule::string(
        "the address and port of a server, as \"10.0.0.11:8080\" or \"[2001:db8::11]:8080\"",
        |text| {
            if text.parse::<IpAddr>().is_ok() {
                return Err(Refusal::Hint("the port is missing".to_owned()));
            }
            let Ok(address) = text.parse::<SocketAddr>() else {
                let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
                let is_name = name.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.starts_with('[');
                let hint = "names are looked up by [pool.dns]".to_owned();
                return Err(if is_name { Refusal::Hint(hint) } else { Refusal::Unexpected });
            };
            let ip = address.ip();
            let one_host = !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::from([255; 4]);
            if address.port() != 0 && one_host { Ok(address) } else { Err(Refusal::Unexpected) }
        },
    )
}
