//! The load: h2load on a processor of its own, and what it saw.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use xdp_lb_tests::netns::Netns;

use super::peers::SHARED_CPU;

/// A protocol as h2load is told it, the connections it opens, and the streams of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    arguments: &'static [&'static str],
    clients: u32,
    streams: u32,
}

pub(super) const H1: Load = Load { arguments: &["--h1"], clients: 32, streams: 1 };
pub(super) const H2: Load = Load { arguments: &[], clients: 4, streams: 16 };

/// What was asked and answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub requests: u64,
    /// Each answer's time in microseconds, sorted, if it was wanted.
    pub microseconds: Vec<u64>,
}

/// Where and for how long, and at which rate if not as fast as can be.
pub(super) struct Run<'a> {
    pub netns: &'a Netns,
    pub url: String,
    pub seconds: u32,
    /// Requests a second over all connections, with each answer's time written down.
    pub rate: Option<u32>,
    pub header: Option<&'a str>,
    pub folder: &'a Path,
}

impl Load {
    /// Whether it speaks HTTP/2.
    pub(super) fn is_h2(&self) -> bool {
        self.streams > 1
    }

    /// Runs it; an answer that is not 2xx is an error.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<Seen> {
        let mut command = run.netns.command("taskset");
        command.args(["--cpu-list", &SHARED_CPU.to_string(), "h2load"]).args(self.arguments);
        let log = run.folder.join("h2load.log");
        command.args(["-t", "1", "-c", &self.clients.to_string(), "-m", &self.streams.to_string()]);
        command.args(["-D", &run.seconds.to_string(), "--warm-up-time", "1"]);
        if let Some(rate) = run.rate {
            command.arg(format!("--rps={}", (rate / self.clients).max(1)));
            command.arg(format!("--log-file={}", log.display()));
        }
        if let Some(header) = run.header {
            command.args(["-H", header]);
        }
        let output = command.arg(&run.url).stdin(Stdio::null()).output().context("running h2load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "h2load failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        let requests =
            number(&text, "requests:", " done").with_context(|| format!("h2load printed {text}"))?;
        // A status that came just before the time began is not in the list, though its answer is among those done.
        let of = |class| number(&text, "status codes:", class).unwrap_or(0);
        let bad = of(" 3xx") + of(" 4xx") + of(" 5xx") + number(&text, "requests:", " failed").unwrap_or(0);
        ensure!(of(" 2xx") > 0 && bad == 0, "{bad} answers were not 2xx:\n{text}");
        let mut microseconds = Vec::new();
        if run.rate.is_some() {
            let lines = std::fs::read_to_string(&log).context("reading h2load's log")?;
            microseconds = lines.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect();
            microseconds.sort_unstable();
            std::fs::remove_file(&log).context("removing h2load's log")?;
        }
        Ok(Seen { requests, microseconds })
    }
}

/// The number before `unit` in the line that begins with `line`.
fn number(text: &str, line: &str, unit: &str) -> Option<u64> {
    let line = text.lines().find_map(|found| found.strip_prefix(line))?;
    line.split(',').find_map(|part| part.trim().strip_suffix(unit.trim_start())?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_h2load_prints() {
        let text = "finished in 5.0s, 10 req/s, 1KB/s\n\
                    requests: 155 total, 160 started, 155 done, 154 succeeded, 1 failed, 1 errored, 0 timeout\n\
                    status codes: 154 2xx, 0 3xx, 1 4xx, 0 5xx\n";
        assert_eq!(number(text, "requests:", " done"), Some(155));
        assert_eq!(number(text, "status codes:", " 2xx"), Some(154));
        assert_eq!(number(text, "status codes:", " 9xx"), None);
    }
}
