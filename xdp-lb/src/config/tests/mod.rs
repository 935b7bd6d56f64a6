//! Tables of what is refused and how; what is accepted, with every default; and that no text whatever is too much.

use std::fmt::Write as _;
use std::path::Path;

use super::{Config, DecapConfig};

mod accepted;
mod agent;
mod any_text;
mod decap;
mod gateway;
mod health;
mod live;
mod readme;
mod reference;
mod utilization;
mod vip;
mod warmup;
mod weights;
mod whole;

/// What is tried out, where, and every line that is said of it.
type Row = (&'static str, In, &'static str, &'static [&'static str]);

/// What stands above the text of a row. A first line that sets a key which is there already replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    File,
    Agent,
    Vip,
    Udp,
    Health,
    UdpHealth,
    Utilization,
    AgentCheck,
    OrcaHttp,
    Warmup,
    Weights,
    Backend,
    Decap,
    DecapFile,
}

const AGENT: &str = "[agent]\ninterfaces = [\"eth0\"]\n";
const VIP: &str = "[[vip]]\nname = \"web\"\naddress = \"203.0.113.10\"\nport = 80\nforward = \"ipip\"\n";
const BACKEND: &str = "[[vip.backend]]\nname = \"web-1\"\naddress = \"10.0.0.11\"\n";
const DECAP: &str = "[decap]\ninterfaces = [\"eth0\"]\naddresses = [\"10.0.0.11\"]\n";

impl In {
    fn around(self, text: &str) -> String {
        let above = match self {
            Self::File | Self::DecapFile => String::new(),
            Self::Agent => AGENT.to_owned(),
            Self::Vip => format!("{AGENT}{VIP}"),
            Self::Udp => format!("{AGENT}{VIP}protocol = \"udp\"\n"),
            Self::Health => format!("{AGENT}{VIP}[vip.health]\n"),
            Self::UdpHealth => format!("{AGENT}{VIP}protocol = \"udp\"\n[vip.health]\n"),
            Self::Utilization => format!("{AGENT}{VIP}[vip.utilization]\n"),
            Self::AgentCheck => format!("{AGENT}{VIP}[vip.utilization]\nkind = \"agent-check\"\n"),
            Self::OrcaHttp => format!("{AGENT}{VIP}[vip.utilization]\nkind = \"orca-http\"\n"),
            Self::Warmup => format!("{AGENT}{VIP}[vip.warmup]\n"),
            Self::Weights => format!("{AGENT}{VIP}[vip.weights]\n"),
            Self::Backend => format!("{AGENT}{VIP}{BACKEND}"),
            Self::Decap => DECAP.to_owned(),
        };
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let key = first.split_once('=').map_or("", |(key, _)| key);
        let table = above.rfind("\n[").unwrap_or(0);
        match above.rfind(&format!("\n{key}=")).filter(|at| !key.is_empty() && *at > table) {
            Some(at) => {
                let (before, from) = above.split_at(at + 1);
                let (_, after) = from.split_once('\n').unwrap();
                let (lines, tables) = if first.ends_with('[') { (text, "") } else { (first, rest) };
                format!("{before}{lines}\n{after}{tables}")
            }
            None => format!("{above}{text}"),
        }
    }
}

/// Asserts that every row is refused in exactly its words.
fn refuse(rows: &[Row]) {
    let mut wrong = String::new();
    for (description, place, text, expected) in rows {
        let text = place.around(text);
        let said = match place {
            In::Decap | In::DecapFile => DecapConfig::from_toml(&text, Path::new("decap.toml")).err(),
            _ => Config::from_toml(&text, Path::new("lb.toml")).err(),
        };
        let said = said.map(|errors| errors.to_string()).unwrap_or_default();
        if said != expected.join("\n") {
            let _ = writeln!(
                wrong,
                "--- {description}\n{text}\n--- says\n{said}\n--- for\n{}\n",
                expected.join("\n")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
