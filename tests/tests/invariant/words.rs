//! A history read back from its words, as it stands in the corpus.

use std::str::FromStr;

use crate::history::{Edit, Ending, History, Step};
use crate::plan::VIPS;

impl FromStr for History {
    type Err = String;

    /// One thing a line; `#` begins a comment.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut history = Self {
            seed: 0,
            flow_entries: 64,
            idle: 10,
            insert_limit: 1000,
            sweep_parts: 1,
            max_backends: 20,
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            history.add(&words).ok_or_else(|| format!("line {}: `{line}` is no step", index + 1))?;
        }
        Ok(history)
    }
}

impl History {
    fn add(&mut self, words: &[&str]) -> Option<()> {
        match words {
            [] => {}
            ["seed", n] => self.seed = n.parse().ok()?,
            ["flow-entries", n] => self.flow_entries = n.parse().ok()?,
            ["idle", n] => self.idle = n.parse().ok()?,
            ["insert-limit", n] => self.insert_limit = n.parse().ok()?,
            ["sweep-parts", n] => self.sweep_parts = n.parse().ok()?,
            ["max-backends", n] => self.max_backends = n.parse().ok()?,
            _ => self.steps.push(step(words)?),
        }
        Some(())
    }
}

fn step(words: &[&str]) -> Option<Step> {
    Some(match words {
        ["reload", edits @ ..] => {
            let line = edits.join(" ");
            let edits = line.split(',').map(|edit| self::edit(&edit.split_whitespace().collect::<Vec<_>>()));
            Step::Reload(edits.collect::<Option<_>>()?)
        }
        ["healthy", server, on] => Step::Healthy(server.parse().ok()?, on_off(on)?),
        ["load", server, percent] => Step::Load(server.parse().ok()?, percent.parse().ok()?),
        ["open", vip, count] => Step::Open(self::vip(vip)?, count.parse().ok()?),
        ["reopen", count] => Step::Reopen(count.parse().ok()?),
        ["close", how, percent] => {
            let how = Ending::ALL.into_iter().find(|ending| ending.word() == *how)?;
            Step::Close(how, percent.parse().ok()?)
        }
        ["flood", vip, count] => Step::Flood(self::vip(vip)?, count.parse().ok()?),
        ["stray", vip, count] => Step::Stray(self::vip(vip)?, count.parse().ok()?),
        ["wait", seconds] => Step::Wait(seconds.parse().ok()?),
        ["stall", seconds] => Step::Stall(seconds.parse().ok()?),
        ["kill", after, "dead", dead, "again", again] => {
            Step::Kill { after: after.parse().ok()?, dead: dead.parse().ok()?, again: again.parse().ok()? }
        }
        _ => return None,
    })
}

fn edit(words: &[&str]) -> Option<Edit> {
    Some(match words {
        ["weight", vip, server, weight] => {
            Edit::Weight(self::vip(vip)?, server.parse().ok()?, weight.parse().ok()?)
        }
        ["drain", vip, server, on] => Edit::Drain(self::vip(vip)?, server.parse().ok()?, on_off(on)?),
        ["server", vip, server, on] => Edit::Server(self::vip(vip)?, server.parse().ok()?, on_off(on)?),
        ["vip", vip, on] => Edit::Vip(self::vip(vip)?, on_off(on)?),
        ["drain-time", vip, seconds] => Edit::DrainTime(self::vip(vip)?, seconds.parse().ok()?),
        ["checks", vip, on] => Edit::Checks(self::vip(vip)?, on_off(on)?),
        ["p2c", vip, on] => Edit::P2c(self::vip(vip)?, on_off(on)?),
        _ => return None,
    })
}

fn vip(name: &str) -> Option<usize> {
    VIPS.iter().position(|vip| vip.name == name)
}

fn on_off(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}
