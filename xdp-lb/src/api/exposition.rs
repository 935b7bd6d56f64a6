//! Prometheus' text format (version 0.0.4).

use std::fmt::{Display, Write};

/// A page of metrics; each name gets `xdp_lb_` before it.
#[derive(Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP xdp_lb_{name} {help}\n# TYPE xdp_lb_{name} {kind}");
    }

    /// A value under these labels.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "xdp_lb_{name}");
        for (position, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if position == 0 { '{' } else { ',' });
            for letter in text.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// The whole page.
    pub fn text(self) -> String {
        self.text
    }
}
