//! The line by which an agent answers HAProxy's `agent-check` (configuration manual, section 5.2).
//!
//! | word | meaning here |
//! |---|---|
//! | `75%` | by [`Percent`]: the share of the configured weight, at most 400 %, or how much of the server is idle |
//! | `ready` `drain` `maint` | what its operator wants |
//! | `up` | it works |
//! | `down` `fail` `stopped` | it does not |
//! | `maxconn:30` | nothing: below layer 7 nobody queues connections, so there is none to hold back |
//! | `# any text` | why, up to the line's end, beside `down`, `fail` or `stopped` |
//!
//! Words are separated by spaces, tabs and commas, in any order and in any case; the first `\r` or `\n` ends the line,
//! and a line without that end is incomplete. What a line does not mention is not changed. A word that is none of these
//! is passed over where others are known, as HAProxy does, so that an agent may say things to others as well.
//!
//! HAProxy 2.6 knows neither `weight:75%`, here the same as `75%`, nor `failed`, which older manuals have for `fail`,
//! nor a `#` without space before it (`down#disk`): these are taken here in addition. It lets the last of two
//! percentages, or of any two words for the same thing, win: here such a line does not count, and neither does one
//! whose percentage or `maxconn` is no number, of which HAProxy takes what remains.

use super::MOST_BYTES;
use super::refuse::{no, shown};
use crate::config::Percent;
use crate::control::{AdminState, NoReport, NoReportKind, Report};

/// Letters of a reason that are kept.
const LONGEST_REASON: usize = 120;

/// Most that a percentage may make of a configured weight.
const MOST_PERCENT: u32 = 400;

/// What the first line of `answer` says.
pub fn parse(answer: &[u8], percent: Percent) -> Result<Report, NoReport> {
    let window = &answer[..answer.len().min(MOST_BYTES)];
    let Some(end) = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Err(without_end(answer));
    };
    let (words, reason) = split(&window[..end]);
    let mut line = Line::default();
    for word in words.split(|byte| is_separator(*byte)).filter(|word| !word.is_empty()) {
        line.take(word)?;
    }
    line.finish(percent, reason)
}

fn without_end(answer: &[u8]) -> NoReport {
    if answer.is_empty() {
        return no(NoReportKind::Missing, "connection closed without an answer");
    }
    if answer.len() >= MOST_BYTES {
        return no(NoReportKind::TooLong, format!("no end of line within {MOST_BYTES} bytes"));
    }
    no(NoReportKind::Garbage, format!("{} is not ended by a line feed: incomplete", shown(answer)))
}

/// Words, and what follows the first `#`.
fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|byte| *byte == b'#') {
        Some(at) => (&line[..at], Some(&line[at + 1..])),
        None => (line, None),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',')
}

/// What was said so far.
#[derive(Default)]
struct Line {
    percent: Option<u32>,
    admin: Option<AdminState>,
    /// `Err` with the word.
    health: Option<Result<(), &'static str>>,
    maxconn: Option<()>,
    /// The first word that means nothing.
    unknown: Option<String>,
}

impl Line {
    fn take(&mut self, word: &[u8]) -> Result<(), NoReport> {
        match word.to_ascii_lowercase().as_slice() {
            b"up" => once(&mut self.health, Ok(()), word),
            b"down" => once(&mut self.health, Err("down"), word),
            b"fail" | b"failed" => once(&mut self.health, Err("fail"), word),
            b"stopped" => once(&mut self.health, Err("stopped"), word),
            b"ready" => once(&mut self.admin, AdminState::Ready, word),
            b"drain" => once(&mut self.admin, AdminState::Drain, word),
            b"maint" => once(&mut self.admin, AdminState::Maint, word),
            lower => {
                if let Some(count) = lower.strip_prefix(b"maxconn:") {
                    whole(count, word)?;
                    once(&mut self.maxconn, (), word)
                } else if let Some(share) = lower.strip_prefix(b"weight:") {
                    once(&mut self.percent, percentage(share, word)?, word)
                } else if lower.ends_with(b"%") || lower[0].is_ascii_digit() && lower.contains(&b'%') {
                    once(&mut self.percent, percentage(lower, word)?, word)
                } else {
                    self.unknown.get_or_insert_with(|| shown(word));
                    Ok(())
                }
            }
        }
    }

    fn finish(self, meaning: Percent, reason: Option<&[u8]>) -> Result<Report, NoReport> {
        let known =
            self.percent.is_some() || self.admin.is_some() || self.health.is_some() || self.maxconn.is_some();
        if !known {
            return Err(match self.unknown {
                Some(word) => {
                    no(NoReportKind::Garbage, format!("no word of the line is known, such as {word}"))
                }
                None => no(NoReportKind::Missing, "an empty line"),
            });
        }
        let mut report = Report {
            admin: self.admin,
            operational: self.health.map(|health| health.map_err(|word| explained(word, reason))),
            ..Report::default()
        };
        match (self.percent, meaning) {
            (None, _) => {}
            (Some(percent), Percent::Weight) => {
                report.weight = Some(f64::from(percent.min(MOST_PERCENT)) / 100.0);
            }
            (Some(percent @ 0..=100), Percent::Idle) => {
                report.utilization = Some(f64::from(100 - percent) / 100.0);
            }
            (Some(percent), Percent::Idle) => {
                return Err(no(NoReportKind::AboveOne, format!("{percent}% idle: expected 0% to 100%")));
            }
        }
        Ok(report)
    }
}

fn once<T>(place: &mut Option<T>, value: T, word: &[u8]) -> Result<(), NoReport> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => {
            let detail = format!("{} comes after a word for the same thing", shown(word));
            Err(no(NoReportKind::Duplicated, detail))
        }
    }
}

fn percentage(text: &[u8], word: &[u8]) -> Result<u32, NoReport> {
    match text.strip_suffix(b"%") {
        Some(number) => whole(number, word),
        None => Err(no(
            NoReportKind::Garbage,
            format!("{}: expected a whole number and a percent sign, such as 75%", shown(word)),
        )),
    }
}

/// The number that `digits` are; one too large for any use is as large as they get.
fn whole(digits: &[u8], word: &[u8]) -> Result<u32, NoReport> {
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return Ok(digits
            .iter()
            .fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'))));
    }
    let number: Option<f64> = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let kind = match number {
        Some(number) if number.is_nan() => NoReportKind::NotANumber,
        Some(number) if number.is_infinite() => NoReportKind::Infinite,
        Some(number) if number < 0.0 => NoReportKind::Negative,
        _ => NoReportKind::Garbage,
    };
    Err(no(kind, format!("{}: expected a whole number from 0", shown(word))))
}

/// `down`, or `down: disk full`; without control characters.
fn explained(word: &str, reason: Option<&[u8]>) -> String {
    let reason = String::from_utf8_lossy(reason.unwrap_or_default());
    let clean: String =
        reason.trim().chars().filter(|sign| !sign.is_control()).take(LONGEST_REASON).collect();
    if clean.is_empty() { word.to_owned() } else { format!("{word}: {clean}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn down(why: &str) -> Report {
        Report { operational: Some(Err(why.to_owned())), ..Report::default() }
    }

    fn weight(weight: f64) -> Report {
        Report { weight: Some(weight), ..Report::default() }
    }

    fn admin(admin: AdminState) -> Report {
        Report { admin: Some(admin), ..Report::default() }
    }

    #[test]
    fn the_grammar() {
        let up = || Report { operational: Some(Ok(())), ..Report::default() };
        let long = format!("down #{}\n", "x".repeat(3000));
        let rows: Vec<(&str, &str, Report)> = vec![
            ("a percentage", "75%\n", weight(0.75)),
            ("nothing", "0%\n", weight(0.0)),
            ("more than all", "150%\n", weight(1.5)),
            ("the most", "400%\n", weight(4.0)),
            ("beyond the most", "25600%\n", weight(4.0)),
            ("beyond any number", "99999999999999999999999%\n", weight(4.0)),
            ("leading zeros", "007%\n", weight(0.07)),
            ("named weight", "weight:75%\n", weight(0.75)),
            ("ready", "ready\n", admin(AdminState::Ready)),
            ("drain", "drain\n", admin(AdminState::Drain)),
            ("maint", "maint\n", admin(AdminState::Maint)),
            ("any case", "DrAiN\r\n", admin(AdminState::Drain)),
            ("up", "up\n", up()),
            ("down", "down\n", down("down")),
            ("fail", "fail\n", down("fail")),
            ("as older manuals have it", "failed\n", down("fail")),
            ("stopped", "stopped\n", down("stopped")),
            ("down and why", "down #disk full, 99%\n", down("down: disk full, 99%")),
            ("why, without a space", "down#disk\n", down("down: disk")),
            ("blanks before why", "fail #\t  disk \n", down("fail: disk")),
            ("an empty why", "down #\n", down("down")),
            ("control characters in why", "down #a\x1b[2Jb\n", down("down: a[2Jb")),
            ("a long why", &long, down(&format!("down: {}", "x".repeat(120)))),
            ("why of nothing", "up #fine\n", up()),
            ("maxconn", "maxconn:30\n", Report::default()),
            (
                "all at once",
                "up,ready\t 75% maxconn:5\n",
                Report { weight: Some(0.75), admin: Some(AdminState::Ready), ..up() },
            ),
            ("separators alone", " ,,\t 50%,, \n", weight(0.5)),
            ("an unknown word beside known ones", "50% hello\n", weight(0.5)),
            ("a word that only begins as one", "upward 50%\n", weight(0.5)),
            ("only the first line counts", "50%\n75%\n", weight(0.5)),
            ("a carriage return ends it", "50%\rdown\n", weight(0.5)),
        ];
        for (description, line, expected) in rows {
            assert_eq!(parse(line.as_bytes(), Percent::Weight), Ok(expected), "{description}: {line:?}");
        }
    }

    #[test]
    fn refusals() {
        use NoReportKind::{AboveOne, Duplicated, Garbage, Infinite, Missing, Negative, NotANumber, TooLong};
        let endless = "x".repeat(MOST_BYTES);
        let rows: [(&str, &str, NoReportKind, &str); 24] = [
            ("nothing", "", Missing, "connection closed without an answer"),
            ("an empty line", "\n", Missing, "an empty line"),
            ("separators", " ,\t\n", Missing, "an empty line"),
            ("only a description", "#hello\n", Missing, "an empty line"),
            ("no end", "75%", Garbage, "\"75%\" is not ended by a line feed: incomplete"),
            ("endless", &endless, TooLong, "no end of line within 4096 bytes"),
            ("no word known", "hello world\n", Garbage, "no word of the line is known, such as \"hello\""),
            ("a number alone", "75\n", Garbage, "no word of the line is known, such as \"75\""),
            ("HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", Garbage, "such as \"HTTP/1.1\""),
            ("weight without percent", "weight:75\n", Garbage, "such as 75%"),
            ("negative", "-5%\n", Negative, "\"-5%\": expected a whole number from 0"),
            ("not a number", "NaN%\n", NotANumber, "\"NaN%\""),
            ("infinite", "inf%\n", Infinite, "\"inf%\""),
            ("infinitely negative", "-inf%\n", Infinite, "\"-inf%\""),
            ("a fraction", "75.5%\n", Garbage, "\"75.5%\": expected a whole number from 0"),
            ("a bare percent sign", "%\n", Garbage, "\"%\""),
            ("two in one", "5%5%\n", Garbage, "\"5%5%\""),
            ("garbage after", "5%x\n", Garbage, "\"5%x\""),
            ("two percentages", "5% 6%\n", Duplicated, "\"6%\" comes after a word for the same thing"),
            ("under two names", "5% weight:5%\n", Duplicated, "\"weight:5%\""),
            ("up and down", "up down\n", Duplicated, "\"down\""),
            ("ready and drain", "ready drain\n", Duplicated, "\"drain\""),
            ("maxconn of nothing", "50% maxconn:\n", Garbage, "\"maxconn:\": expected a whole number from 0"),
            ("maxconn below nothing", "maxconn:-3\n", Negative, "\"maxconn:-3\""),
        ];
        for (description, line, kind, words) in rows {
            let refusal = parse(line.as_bytes(), Percent::Weight).unwrap_err();
            assert_eq!(refusal.kind, kind, "{description}: {}", refusal.detail);
            assert!(refusal.detail.contains(words), "{description}: {}", refusal.detail);
        }
        let idle = parse(b"101%\n", Percent::Idle).unwrap_err();
        assert_eq!((idle.kind, idle.detail.as_str()), (AboveOne, "101% idle: expected 0% to 100%"));
    }

    #[test]
    fn what_is_idle_is_not_used() {
        for (line, used) in [("0%\n", 1.0), ("37%\n", 0.63), ("100%\n", 0.0)] {
            let report = parse(line.as_bytes(), Percent::Idle).unwrap();
            assert_eq!((report.utilization, report.weight), (Some(used), None), "{line:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_comes_in_is_within_bounds_or_refused(
            words in prop::collection::vec(prop_oneof![
                Just("up".to_owned()), Just("down".to_owned()), Just("drain".to_owned()), Just("#".to_owned()),
                Just("weight:".to_owned()), Just("maxconn:".to_owned()), Just("%".to_owned()),
                Just("\n".to_owned()), "[0-9]{1,30}%", "-?[0-9.]{0,9}%?", ".{0,8}",
            ], 0..8),
            garbage in prop::collection::vec(any::<u8>(), 0..40),
            idle in any::<bool>(),
        ) {
            let percent = if idle { Percent::Idle } else { Percent::Weight };
            let mut line = words.join(" ").into_bytes();
            line.extend(garbage);
            line.push(b'\n');
            match parse(&line, percent) {
                Ok(report) => {
                    prop_assert!(report.weight.is_none_or(|weight| (0.0..=4.0).contains(&weight)));
                    prop_assert!(report.utilization.is_none_or(|used| (0.0..=1.0).contains(&used)));
                    prop_assert!(report.age.is_none() && report.rate.is_none() && report.errors.is_none());
                }
                Err(refusal) => prop_assert!(!refusal.detail.is_empty() && refusal.detail.len() < 400),
            }
        }
    }
}
