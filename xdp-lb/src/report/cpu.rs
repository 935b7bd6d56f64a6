//! How much of the processors' time was worked, from `/proc/stat` or from a control group, and the load average.

use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

/// Where processor time is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Host,
    /// The folder of a control group (version 2).
    Cgroup(PathBuf),
}

/// Time worked and time there was, since whenever: two readings make a utilization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) busy: f64,
    pub(super) whole: f64,
}

impl Reading {
    /// What was worked between an `earlier` reading and this one, 0 to 1.
    pub(super) fn since(&self, earlier: &Self) -> Option<f64> {
        let whole = self.whole - earlier.whole;
        (whole > 0.0).then(|| ((self.busy - earlier.busy) / whole).clamp(0.0, 1.0))
    }
}

impl Source {
    /// Reads once. `up` is a time that runs evenly; `before` the reading before it, and its time.
    pub(super) fn read(&self, up: Duration, before: Option<(Duration, Reading)>) -> io::Result<Reading> {
        let stat = fs::read_to_string("/proc/stat")?;
        let host = parse_stat(&stat).ok_or_else(|| garbage("/proc/stat"))?;
        let Self::Cgroup(folder) = self else { return Ok(host) };
        let path = folder.join("cpu.stat");
        let text = fs::read_to_string(&path).map_err(|error| named(&path, &error))?;
        let busy = parse_usage(&text).ok_or_else(|| garbage(&path.display().to_string()))?;
        // The root group has no cpu.max: nothing is above it.
        let limit = fs::read_to_string(folder.join("cpu.max")).ok().and_then(|text| parse_limit(&text));
        let processors = limit.unwrap_or(f64::INFINITY).min(count(&stat));
        let whole = before
            .map_or(0.0, |(then, before)| before.whole + up.saturating_sub(then).as_secs_f64() * processors);
        Ok(Reading { busy, whole })
    }
}

/// The load average of a minute for each processor, at most 1.
pub(super) fn load() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let average = parse_load(&text).ok_or_else(|| garbage("/proc/loadavg"))?;
    Ok((average / count(&fs::read_to_string("/proc/stat")?)).clamp(0.0, 1.0))
}

/// The first line of proc_stat(5), in ticks. Waiting for disks is idle time. Time that the hypervisor gave to others
/// counts as worked: this host could not have had it. Time of guests is in `user` and `nice` already.
fn parse_stat(text: &str) -> Option<Reading> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> =
        fields.split_ascii_whitespace().map_while(|field| field.parse().ok()).take(8).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let whole: f64 = ticks.iter().sum();
    Some(Reading { busy: whole - idle, whole })
}

/// Processors that are there.
fn count(stat: &str) -> f64 {
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    stat.lines().filter(is_one).count().max(1) as f64
}

/// Seconds worked, from `cpu.stat`.
fn parse_usage(text: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(value.trim().parse::<f64>().ok()? / 1e6)
}

/// Processors allowed, from `cpu.max`: `quota period`, or `max period` for all.
fn parse_limit(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn parse_load(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

fn garbage(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path}: not as expected"))
}

fn named(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 30 800 50 0 5 15 40 0\ncpu0 1 2\ncpu1 1 2\nintr 5\ncpufreq 7\n";

    #[test]
    fn the_kernels_files() {
        assert_eq!(parse_stat(STAT), Some(Reading { busy: 170.0, whole: 1020.0 }));
        assert_eq!(parse_stat("cpu  1 2\n"), None);
        assert_eq!(parse_stat(""), None);
        assert_eq!(count(STAT), 2.0);
        assert_eq!(parse_usage("usage_usec 2500000\nuser_usec 1\n"), Some(2.5));
        assert_eq!(parse_usage("user_usec 1\n"), None);
        assert_eq!(parse_limit("150000 100000\n"), Some(1.5));
        assert_eq!(parse_limit("max 100000\n"), None);
        assert_eq!(parse_load("0.52 0.58 0.59 1/977 12345\n"), Some(0.52));
    }

    #[test]
    fn two_readings_make_a_utilization() {
        let reading = |busy, whole| Reading { busy, whole };
        for (earlier, later, expected) in [
            (reading(10.0, 100.0), reading(60.0, 200.0), Some(0.5)),
            (reading(10.0, 100.0), reading(10.0, 100.0), None),
            (reading(10.0, 100.0), reading(500.0, 200.0), Some(1.0)),
            (reading(10.0, 100.0), reading(5.0, 200.0), Some(0.0)),
        ] {
            assert_eq!(later.since(&earlier), expected);
        }
    }

    #[test]
    fn a_group_is_measured_against_what_it_may_use() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::Cgroup(dir.path().to_owned());
        let missing = source.read(Duration::ZERO, None).unwrap_err().to_string();
        assert!(missing.contains("cpu.stat"), "{missing}");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("cpu.stat", "usage_usec 1000000\n");
        write("cpu.max", "50000 100000\n");
        let first = source.read(Duration::from_secs(10), None).unwrap();
        write("cpu.stat", "usage_usec 1250000\n");
        let second = source.read(Duration::from_secs(11), Some((Duration::from_secs(10), first))).unwrap();
        assert_eq!(second.since(&first), Some(0.5));
    }

    #[test]
    fn this_machine_can_be_measured() {
        let reading = Source::Host.read(Duration::ZERO, None).unwrap();
        assert!(reading.busy > 0.0 && reading.whole > reading.busy, "{reading:?}");
        assert!((0.0..=1.0).contains(&load().unwrap()));
    }
}
