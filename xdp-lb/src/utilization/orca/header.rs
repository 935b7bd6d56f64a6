//! Which header holds the report, and in which form.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

use super::{json, message, text, too_long};
use crate::control::{NoReport, NoReportKind, Report};
use crate::utilization::MOST_BYTES;
use crate::utilization::refuse::{no, shown};

/// How a header's value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By its own prefix; the older ones without prefix are text, or JSON where they begin with a brace.
    Told,
    /// As base64.
    Binary,
    /// As JSON.
    Json,
}

/// Headers in use: the present one, and those of older proxies and of gRPC, whose name tells the form.
const NAMES: [(&str, Form); 6] = [
    ("endpoint-load-metrics", Form::Told),
    ("endpoint-load-metrics-bin", Form::Binary),
    ("endpoint-load-metrics-json", Form::Json),
    ("x-endpoint-load-metrics", Form::Told),
    ("x-endpoint-load-metrics-bin", Form::Binary),
    ("x-endpoint-load-metrics-json", Form::Json),
];

/// gRPC leaves the padding away, others write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the report in an answer's headers. `unix_now` is the time since 1970.
pub fn parse(headers: &HeaderMap, unix_now: Duration) -> Result<Report, NoReport> {
    let mut values = NAMES.iter().flat_map(|(name, form)| {
        headers.get_all(*name).iter().map(move |value| (*name, *form, value.as_bytes()))
    });
    let Some((first, form, value)) = values.next() else {
        return Err(no(NoReportKind::Missing, "no endpoint-load-metrics header in the answer"));
    };
    if let Some((second, ..)) = values.next() {
        let detail = if first == second {
            format!("more than one {first} header")
        } else {
            format!("both a {first} and a {second} header")
        };
        return Err(no(NoReportKind::Duplicated, detail));
    }
    parse_form(form, value, unix_now)
}

pub(super) fn parse_form(form: Form, value: &[u8], unix_now: Duration) -> Result<Report, NoReport> {
    if value.len() > MOST_BYTES {
        return Err(too_long(value.len()));
    }
    let value = value.trim_ascii();
    let metrics = match form {
        Form::Binary => binary(value)?,
        Form::Json => json::read(value)?,
        Form::Told => match (prefix(value), value) {
            (Some((b"TEXT", rest)), _) => text::read(rest)?,
            (Some((b"JSON", rest)), _) => json::read(rest)?,
            (Some((b"BIN", rest)), _) => binary(rest)?,
            (_, [b'{', ..]) => json::read(value)?,
            _ => text::read(value)?,
        },
    };
    metrics.finish(unix_now)
}

/// The first word and what follows it, where more than one is there.
fn prefix(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|byte| *byte == b' ')?;
    Some((&value[..end], value[end..].trim_ascii()))
}

fn binary(text: &[u8]) -> Result<super::Metrics, NoReport> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| no(NoReportKind::Garbage, format!("{} is not base64: {error}", shown(text))))?;
    message::read(&bytes)
}
