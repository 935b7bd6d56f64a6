//! How much of the processors' time was worked, from `/proc/stat` or from a control group, and the load average.

use std::path::{Path, PathBuf};
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
    /// What was worked between an `earlier` reading and this one, 0 to 1. Nothing where the counters went back: a group
    /// that was made anew counts from 0, which says nothing of how busy it is.
    pub(super) fn since(&self, earlier: &Self) -> Option<f64> {
        let (busy, whole) = (self.busy - earlier.busy, self.whole - earlier.whole);
        (whole > 0.0 && busy >= 0.0).then(|| (busy / whole).min(1.0))
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
        let processors = allowed(folder).min(count(&stat));
        let whole = before
            .map_or(0.0, |(then, before)| before.whole + up.saturating_sub(then).as_secs_f64() * processors);
        Ok(Reading { busy, whole })
    }
}

/// Processors that a group may use: the least of its own limit, of those above it, and of the processors that it is
/// kept to. The root group has no such files: nothing is above it.
fn allowed(folder: &Path) -> f64 {
    let limits = folder.ancestors().filter_map(|group| fs::read_to_string(group.join("cpu.max")).ok());
    let kept = fs::read_to_string(folder.join("cpuset.cpus.effective")).ok();
    let kept = kept.and_then(|text| parse_list(&text));
    limits.filter_map(|text| parse_limit(&text)).chain(kept).fold(f64::INFINITY, f64::min)
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

/// How many processors a list such as `0-3,8` names.
fn parse_list(text: &str) -> Option<f64> {
    let mut count = 0.0;
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count += f64::from(last.checked_sub(first)?) + 1.0;
    }
    Some(count)
}

fn parse_load(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

fn garbage(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path}: not as expected"))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
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
        for (text, count) in
            [("0\n", Some(1.0)), ("0-3,8\n", Some(5.0)), ("\n", None), ("3-1", None), ("0-x", None)]
        {
            assert_eq!(parse_list(text), count, "{text:?}");
        }
        assert_eq!(parse_load("0.52 0.58 0.59 1/977 12345\n"), Some(0.52));
    }

    #[test]
    fn two_readings_make_a_utilization() {
        let reading = |busy, whole| Reading { busy, whole };
        for (earlier, later, expected) in [
            (reading(10.0, 100.0), reading(60.0, 200.0), Some(0.5)),
            (reading(10.0, 100.0), reading(10.0, 100.0), None),
            (reading(10.0, 100.0), reading(500.0, 200.0), Some(1.0)),
            (reading(10.0, 100.0), reading(5.0, 200.0), None),
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
    fn what_a_group_may_use_is_the_least_of_its_limits() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("server.service");
        fs::create_dir(&folder).unwrap();
        assert_eq!(allowed(&folder), f64::INFINITY);
        let steps = [
            ("server.service/cpuset.cpus.effective", "0-3,8\n", 5.0),
            ("server.service/cpu.max", "max 100000\n", 5.0),
            ("server.service/cpu.max", "400000 100000\n", 4.0),
            ("cpu.max", "150000 100000\n", 1.5),
        ];
        for (file, text, expected) in steps {
            fs::write(dir.path().join(file), text).unwrap();
            assert_eq!(allowed(&folder), expected, "{file}: {text}");
        }
    }

    #[test]
    fn this_machine_can_be_measured() {
        let reading = Source::Host.read(Duration::ZERO, None).unwrap();
        assert!(reading.busy > 0.0 && reading.whole > reading.busy, "{reading:?}");
        assert!((0.0..=1.0).contains(&load().unwrap()));
    }
}
