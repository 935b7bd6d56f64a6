//! What the audience sees: lines that stay, and below them a table that changes in place. Without a terminal, the
//! table is a line now and then. A reader who leaves (`| head`) ends the demo, not in a panic.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use crossterm::cursor::MoveUp;
use crossterm::style::Stylize;
use crossterm::terminal::{Clear, ClearType};
use crossterm::{QueueableCommand, terminal};
use xdp_lb_tests::clock;

/// Between two lines of numbers where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Cells of a full bar.
const BAR: usize = 30;

/// One backend in the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// As the agent says: "up", "down", …; `None` when no agent runs.
    pub(crate) state: Option<String>,
    /// Part of the last second's answers, 0 to 1.
    pub(crate) share: f64,
    /// Answers in the last second.
    pub(crate) rate: usize,
    /// Answers in all.
    pub(crate) total: u64,
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    began: Instant,
    drawn: u16,
    last_line: Option<Instant>,
    closed: bool,
}

impl Screen {
    /// Looks whether there is a terminal.
    pub(crate) fn new() -> Self {
        Self {
            terminal: stdout().is_terminal(),
            began: clock::now(),
            drawn: 0,
            last_line: None,
            closed: false,
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// A new chapter of the story.
    pub(crate) fn chapter(&mut self, text: &str) {
        let time = format!("{:5.1} s", self.began.elapsed().as_secs_f64());
        let text = if self.terminal { text.bold().to_string() } else { text.to_owned() };
        self.print(&format!("\n{time}  {text}"));
    }

    /// What happens, under its chapter.
    pub(crate) fn say(&mut self, text: &str) {
        self.print(&format!("         {text}"));
    }

    /// Something that was claimed, and whether it was seen.
    pub(crate) fn verdict(&mut self, seen: bool, text: &str) {
        let mark = match (seen, self.terminal) {
            (true, true) => "✓".green().to_string(),
            (false, true) => "✗".red().to_string(),
            (true, false) => "ok:".to_owned(),
            (false, false) => "NOT SEEN:".to_owned(),
        };
        self.say(&format!("{mark} {text}"));
    }

    /// Something went wrong.
    pub(crate) fn error(&mut self, text: &str) {
        self.leave_table();
        // Where standard error is gone too, there is nobody to tell.
        let _ = writeln!(stderr(), "demo: {text}");
    }

    /// Shows the numbers as they are now.
    pub(crate) fn table(&mut self, rows: &[Row], footer: &str) {
        if self.terminal {
            self.erase_table();
            let mut lines = vec![
                String::new(),
                format!(
                    "  {:<8} {:<10} {:<BAR$}  {:>5} {:>7} {:>8}",
                    "backend", "state", "", "share", "req/s", "total"
                ),
            ];
            lines.extend(rows.iter().map(Row::drawn));
            // A line that wraps would be two when the table is erased.
            lines.push(format!("  {footer}").chars().take(columns().saturating_sub(1)).collect());
            self.drawn = lines.len() as u16;
            self.write(&(lines.join("\n") + "\n"));
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last_line = Some(clock::now());
            let shares: Vec<_> = rows.iter().map(Row::spoken).collect();
            self.say(&format!("{} | {footer}", shares.join(" | ")));
        }
    }

    /// Lets the table stand where it is; what follows goes below it.
    pub(crate) fn leave_table(&mut self) {
        self.drawn = 0;
    }

    /// Takes the table away, for a last word.
    pub(crate) fn erase_table(&mut self) {
        if self.drawn > 0 {
            let mut out = stdout();
            let drawn = std::mem::take(&mut self.drawn);
            let erased =
                out.queue(MoveUp(drawn)).and_then(|out| out.queue(Clear(ClearType::FromCursorDown))).err();
            self.closed |= erased.is_some();
        }
    }

    fn print(&mut self, text: &str) {
        self.erase_table();
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        let mut out = stdout();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.closed |= written.is_err();
    }
}

impl Row {
    fn state(&self) -> &str {
        self.state.as_deref().unwrap_or("no agent")
    }

    fn drawn(&self) -> String {
        let room = BAR.min(columns().saturating_sub(48));
        let filled = ((self.share * room as f64).round() as usize).min(room);
        let bar = "█".repeat(filled) + &"·".repeat(room - filled);
        let state = format!("{:<10}", self.state());
        let state = match self.state() {
            "up" => state.green(),
            "down" => state.red(),
            _ => state.yellow(),
        };
        let percent = self.share * 100.0;
        format!("  {:<8} {state} {bar:<BAR$}  {percent:>3.0} % {:>7} {:>8}", self.name, self.rate, self.total)
    }

    fn spoken(&self) -> String {
        format!("{} {} {:.0} %", self.name, self.state(), self.share * 100.0)
    }
}

fn columns() -> usize {
    terminal::size().map_or(80, |(columns, _)| usize::from(columns))
}
