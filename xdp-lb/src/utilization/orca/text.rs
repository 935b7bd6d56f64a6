//! The `TEXT` form: `cpu_utilization=0.3, rps_fractional=120, named_metrics.uptime_seconds=77`.
//!
//! Name and value are parted by `=`, or by `:`, which Envoy reads. A name that is none of ORCA's is an error, as in
//! Envoy: people write this form, and a misspelt name would go unnoticed for ever.

use super::{FIELDS, MAPS, Metrics};
use crate::control::{NoReport, NoReportKind};
use crate::utilization::refuse::{no, number, shown};

pub(super) fn read(text: &[u8]) -> Result<Metrics, NoReport> {
    let mut metrics = Metrics::default();
    if text.is_empty() {
        return Ok(metrics);
    }
    for pair in text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        // Numbers hold neither sign; names of metrics may.
        let parts = pair.iter().rposition(|byte| matches!(byte, b'=' | b':'));
        let Some((name, value)) = parts.map(|at| (pair[..at].trim_ascii(), &pair[at + 1..])) else {
            return Err(no(NoReportKind::Garbage, format!("{}: expected name=value", shown(pair))));
        };
        let Ok(name) = std::str::from_utf8(name) else {
            return Err(no(NoReportKind::Garbage, format!("{}: a name that is not UTF-8", shown(name))));
        };
        let value = number(&shown(name.as_bytes()), value)?;
        match name.split_once('.') {
            Some((map, key)) if MAPS.contains(&map) => metrics.entry(map, key, value)?,
            _ if metrics.field(name, value)? => {}
            _ => {
                let detail = format!(
                    "{} is no metric: expected {}, or an entry of {} such as named_metrics.name",
                    shown(name.as_bytes()),
                    FIELDS.join(", "),
                    MAPS.join(", ")
                );
                return Err(no(NoReportKind::Garbage, detail));
            }
        }
    }
    Ok(metrics)
}
