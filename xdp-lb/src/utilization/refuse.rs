//! Why something is no report, in words with the value.

use crate::control::{NoReport, NoReportKind};

/// Bytes of a server's own text that are shown.
const SHOWN: usize = 60;

/// A number that nobody serves requests, or fails, in a second.
const MOST_A_SECOND: f64 = 1e12;

/// The refusal of this kind.
pub(super) fn no(kind: NoReportKind, detail: impl Into<String>) -> NoReport {
    NoReport { kind, detail: detail.into() }
}

/// What a server sent, quoted, without its control characters and no longer than fits a line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let dots = if cut.len() < bytes.len() { "…" } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(cut))
}

/// A number from 0 to 1.
pub(super) fn share(name: &str, value: f64) -> Result<f64, NoReport> {
    let value = amount(name, value)?;
    match value > 1.0 {
        true => Err(no(NoReportKind::AboveOne, format!("{name} = {value}: expected 0 to 1"))),
        false => Ok(value),
    }
}

/// So many a second.
pub(super) fn rate(name: &str, value: f64) -> Result<f64, NoReport> {
    let value = amount(name, value)?;
    match value > MOST_A_SECOND {
        true => {
            let detail = format!("{name} = {value:e}: more than {MOST_A_SECOND:e} a second are not believed");
            Err(no(NoReportKind::Garbage, detail))
        }
        false => Ok(value),
    }
}

/// A number from 0.
pub(super) fn amount(name: &str, value: f64) -> Result<f64, NoReport> {
    let value = finite(name, value)?;
    match value < 0.0 {
        true => Err(no(NoReportKind::Negative, format!("{name} = {value}: expected 0 or more"))),
        // A negative zero is a zero.
        false => Ok(value.abs()),
    }
}

/// Any number that is one.
pub(super) fn finite(name: &str, value: f64) -> Result<f64, NoReport> {
    if value.is_nan() {
        return Err(no(NoReportKind::NotANumber, format!("{name} is NaN: expected a number")));
    }
    if value.is_infinite() {
        return Err(no(NoReportKind::Infinite, format!("{name} = {value}: expected a finite number")));
    }
    Ok(value)
}

/// The number that `text` is; `nan` and `inf` are numbers here, for [`finite`] to refuse by name.
pub(super) fn number(name: &str, text: &[u8]) -> Result<f64, NoReport> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| no(NoReportKind::NotANumber, format!("{name} = {}: expected a number", shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        for (description, got, expected) in [
            ("a share", share("a", 0.5), Ok(0.5)),
            ("all", share("a", 1.0), Ok(1.0)),
            ("a negative zero", share("a", -0.0), Ok(0.0)),
            ("more than all", share("a", 1.7), Err((NoReportKind::AboveOne, "a = 1.7: expected 0 to 1"))),
            ("negative", share("a", -0.1), Err((NoReportKind::Negative, "a = -0.1: expected 0 or more"))),
            ("NaN", share("a", f64::NAN), Err((NoReportKind::NotANumber, "a is NaN: expected a number"))),
            ("a rate", rate("a", 12e3), Ok(12e3)),
            (
                "infinite",
                rate("a", f64::INFINITY),
                Err((NoReportKind::Infinite, "a = inf: expected a finite number")),
            ),
            (
                "beyond belief",
                rate("a", 1e300),
                Err((NoReportKind::Garbage, "a = 1e300: more than 1e12 a second are not believed")),
            ),
            ("any number", finite("a", -7.0), Ok(-7.0)),
            ("text", number("a", b" 7e3 "), Ok(7e3)),
            (
                "not a number",
                number("a", b"7x"),
                Err((NoReportKind::NotANumber, "a = \"7x\": expected a number")),
            ),
            ("nothing", number("a", b""), Err((NoReportKind::NotANumber, "a = \"\": expected a number"))),
        ] {
            let expected = expected.map_err(|(kind, detail)| no(kind, detail));
            assert_eq!(got, expected, "{description}");
        }
    }

    #[test]
    fn what_a_server_sent_is_shown_short_and_harmless() {
        assert_eq!(shown(b"a\x1b[2J\n"), r#""a\u{1b}[2J\n""#);
        assert!(shown(&[b'x'; 5000]).len() < 80);
        assert!(shown(&[0xff; 5000]).len() < 250);
    }
}
