//! The load: h2load, and what it saw.

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

/// Where and for how long.
pub(super) struct Run<'a> {
    pub netns: &'a Netns,
    pub url: String,
    pub seconds: u32,
    pub header: Option<&'a str>,
}

impl Load {
    /// Whether it speaks HTTP/2.
    pub(super) fn is_h2(&self) -> bool {
        self.streams > 1
    }

    /// Runs it, as fast as can be: how many requests were answered. An answer that is not 2xx is an error.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<u64> {
        let mut command = run.netns.command("taskset");
        command.args(["--cpu-list", &SHARED_CPU.to_string(), "h2load"]).args(self.arguments);
        command.args(["-t", "1", "-c", &self.clients.to_string(), "-m", &self.streams.to_string()]);
        command.args(["-D", &run.seconds.to_string(), "--warm-up-time", "1"]);
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
        Ok(requests)
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
