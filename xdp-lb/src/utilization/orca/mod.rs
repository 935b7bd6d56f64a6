//! ORCA's load report (`xds.data.orca.v3.OrcaLoadReport`, github.com/cncf/xds): in a header of an HTTP answer, or as a
//! message of a gRPC stream.
//!
//! | field | here |
//! |---|---|
//! | `application_utilization`, else `cpu_utilization` | utilization, as gRPC's A58 takes it |
//! | `rps_fractional`, else the older `rps` | requests a second |
//! | `eps` | errors a second |
//! | `named_metrics.uptime_seconds`, else `named_metrics.process_start_time_seconds` | the server's age |
//! | `mem_utilization`, `utilization.*`, `request_cost.*`, any other named metric | looked at for sanity, no more |
//!
//! ORCA has no field for the server's age. The second name is the one under which Prometheus' clients export the Unix
//! time of their process's start; the first needs no clock that both sides agree on.
//!
//! The specification lets utilization exceed 1 "when the usage exceeds the reporter dependent notion of soft limits".
//! Here it is a share of what the server can do, and a report with a share above 1 does not count. One number that is
//! no number, infinite or negative makes a whole report not count: who gets one wrong may get others wrong.

mod header;
mod json;
pub(crate) mod message;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

pub use header::parse as parse_headers;

use super::MOST_BYTES;
use super::refuse::{amount, finite, no, rate, share, shown};
use crate::control::{NoReport, NoReportKind, Report};

/// Name of the age among the named metrics.
pub(crate) const UPTIME: &str = "uptime_seconds";
const STARTED: &str = "process_start_time_seconds";

/// Older than any machine: about three hundred years.
const OLDEST: f64 = 1e10;

/// Reads one whole value of a header, in any of its forms: `TEXT k=v, …`, `JSON {…}`, `BIN base64`, or without such a
/// prefix the text or the JSON. `unix_now` is the time since 1970.
pub fn parse_value(value: &[u8], unix_now: Duration) -> Result<Report, NoReport> {
    header::parse_form(header::Form::Told, value, unix_now)
}

/// Reads a message in protobuf's encoding.
pub fn parse_message(bytes: &[u8], unix_now: Duration) -> Result<Report, NoReport> {
    message::read(bytes)?.finish(unix_now)
}

/// Reads a message that was decoded.
pub(super) fn report(message: &message::Received, unix_now: Duration) -> Result<Report, NoReport> {
    message::metrics(message)?.finish(unix_now)
}

/// Numbers as they were reported, each under its name once.
#[derive(Debug, Default)]
struct Metrics {
    fields: BTreeMap<&'static str, f64>,
    uptime: Option<f64>,
    started: Option<f64>,
    /// Names of entries in maps: `named_metrics.x`.
    entries: std::collections::BTreeSet<String>,
}

/// The fields that are numbers.
const FIELDS: [&str; 6] =
    ["application_utilization", "cpu_utilization", "mem_utilization", "rps_fractional", "rps", "eps"];

/// The fields that are maps from names to numbers.
const MAPS: [&str; 3] = ["named_metrics", "utilization", "request_cost"];

impl Metrics {
    /// Takes a number under its name; gives `false` where ORCA has no such field.
    fn field(&mut self, name: &str, value: f64) -> Result<bool, NoReport> {
        let Some(known) = FIELDS.into_iter().find(|known| *known == name) else { return Ok(false) };
        let value = match known {
            "rps_fractional" | "rps" | "eps" => rate(known, value)?,
            _ => share(known, value)?,
        };
        match self.fields.insert(known, value) {
            None => Ok(true),
            Some(_) => Err(twice(known)),
        }
    }

    /// Takes an entry of a map.
    fn entry(&mut self, map: &str, key: &str, value: f64) -> Result<(), NoReport> {
        let name = format!("{map}.{key}");
        let quoted = shown(name.as_bytes());
        if key.is_empty() {
            return Err(no(NoReportKind::Garbage, format!("{quoted}: an entry without a name")));
        }
        let place = match (map, key) {
            ("named_metrics", UPTIME) => Some(&mut self.uptime),
            ("named_metrics", STARTED) => Some(&mut self.started),
            _ => None,
        };
        let value = match map {
            "utilization" => share(&quoted, value)?,
            "request_cost" => amount(&quoted, value)?,
            _ if place.is_some() => age_like(&quoted, value)?,
            _ => finite(&quoted, value)?,
        };
        if let Some(place) = place {
            *place = Some(value);
        }
        match self.entries.insert(name) {
            true => Ok(()),
            false => Err(twice(&quoted)),
        }
    }

    fn finish(&self, unix_now: Duration) -> Result<Report, NoReport> {
        if self.fields.is_empty() && self.entries.is_empty() {
            return Err(no(NoReportKind::Missing, "a report without a single metric"));
        }
        let field = |name| self.fields.get(name).copied();
        let age = self.uptime.or_else(|| {
            // A server whose clock is ahead of this one's has no age, and is watched from when it was first seen.
            self.started.map(|started| unix_now.as_secs_f64() - started).filter(|age| *age >= 0.0)
        });
        Ok(Report {
            utilization: field("application_utilization")
                .filter(|used| *used > 0.0)
                .or_else(|| field("cpu_utilization"))
                .or_else(|| field("application_utilization")),
            rate: field("rps_fractional").or_else(|| field("rps")),
            errors: field("eps"),
            age: age.and_then(|age| Duration::try_from_secs_f64(age).ok()),
            ..Report::default()
        })
    }
}

fn age_like(name: &str, value: f64) -> Result<f64, NoReport> {
    let value = amount(name, value)?;
    match value > OLDEST {
        true => Err(no(NoReportKind::Garbage, format!("{name} = {value:e}: expected at most {OLDEST:e}"))),
        false => Ok(value),
    }
}

fn twice(name: &str) -> NoReport {
    no(NoReportKind::Duplicated, format!("{name} is said twice"))
}

fn too_long(bytes: usize) -> NoReport {
    no(NoReportKind::TooLong, format!("{bytes} bytes of report: expected at most {MOST_BYTES}"))
}

#[cfg(test)]
mod tests;
