//! A status as an aligned table for people.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::control::{BackendStatus, Status, VipStatus};

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Paint {
    pub(super) fn new(on: bool) -> Self {
        Self { on }
    }

    fn put(self, text: &str, colour: Colour) -> String {
        let code = match colour {
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Plain => return text.to_owned(),
        };
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The whole status.
pub(super) fn render(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    if status.vips.is_empty() {
        text.push_str("No VIP is configured.\n");
    }
    for vip in &status.vips {
        text.push_str(&headline(vip, paint));
        text.push_str(&backends(vip, paint));
        text.push('\n');
    }
    text.push_str(&reasons(status, paint));
    let interfaces: Vec<_> = status.interfaces.iter().map(|i| format!("{} ({})", i.name, i.mode)).collect();
    let attached = if interfaces.is_empty() { "nowhere".to_owned() } else { interfaces.join(", ") };
    let _ = writeln!(
        text,
        "Attached to {attached}. Recorded flows: {} of {}.",
        status.flows, status.flow_capacity
    );
    text
}

fn headline(vip: &VipStatus, paint: Paint) -> String {
    let port = if vip.port == 0 { "any".to_owned() } else { vip.port.to_string() };
    let place = match (vip.port, vip.address.is_ipv6()) {
        (0, false) => format!("{}:{port}", vip.address),
        (0, true) => format!("[{}]:{port}", vip.address),
        _ => SocketAddr::new(vip.address, vip.port).to_string(),
    };
    let rates = &vip.traffic;
    format!(
        "{}  {place}/{} by {}  {} new/s  {} packets/s  {} bytes/s  {} of {} slots moved, {} tracked\n",
        paint.put(&clean(&vip.name), Colour::Bold),
        vip.protocol,
        vip.forward,
        short(rates.new_flow_rate),
        short(rates.packet_rate),
        short(rates.byte_rate),
        vip.moved_slots,
        vip.slots,
        vip.tracked_slots,
    )
}

const HEADS: [(&str, Side); 12] = [
    ("BACKEND", Side::Left),
    ("ADDRESS", Side::Left),
    ("STATE", Side::Left),
    ("WEIGHT", Side::Right),
    ("EFFECTIVE", Side::Right),
    ("SHARE", Side::Right),
    ("FLOWS", Side::Right),
    ("NEW/S", Side::Right),
    ("PKTS/S", Side::Right),
    ("BYTES/S", Side::Right),
    ("NEXT HOP", Side::Left),
    ("REASON", Side::Left),
];

fn backends(vip: &VipStatus, paint: Paint) -> String {
    if vip.backends.is_empty() {
        return paint.put("  no backends\n", Colour::Yellow);
    }
    let mut rows = vec![HEADS.iter().map(|(head, side)| Cell::new(*head, Colour::Dim, *side)).collect()];
    rows.extend(vip.backends.iter().map(backend));
    align(&rows, paint)
}

fn backend(backend: &BackendStatus) -> Vec<Cell> {
    let state = match backend.state.as_str() {
        "up" => Colour::Green,
        "down" => Colour::Red,
        _ => Colour::Yellow,
    };
    let hop = if backend.next_hop == "resolved" { Colour::Plain } else { Colour::Yellow };
    let differs = (backend.effective_weight - f64::from(backend.weight)).abs() > 0.005;
    let moved = if differs { Colour::Yellow } else { Colour::Plain };
    let rates = &backend.traffic;
    let cells = [
        (clean(&backend.name), Colour::Plain),
        (backend.address.to_string(), Colour::Plain),
        (clean(&backend.state), state),
        (backend.weight.to_string(), Colour::Plain),
        (effective(backend.effective_weight), moved),
        (format!("{:.1}%", backend.share * 100.0), Colour::Plain),
        (backend.flows.to_string(), Colour::Plain),
        (short(rates.new_flow_rate), Colour::Plain),
        (short(rates.packet_rate), Colour::Plain),
        (short(rates.byte_rate), Colour::Plain),
        (clean(&backend.next_hop), hop),
        (clean(&reason(backend)), Colour::Plain),
    ];
    cells.into_iter().zip(HEADS).map(|((text, colour), (_, side))| Cell::new(text, colour, side)).collect()
}

/// Why the backend is in its state, and why the factors of its weight are not 1.
fn reason(backend: &BackendStatus) -> String {
    let takes_part = backend.state == "up";
    let off = backend.factors.iter().filter(|factor| takes_part && (factor.value - 1.0).abs() > 0.005);
    let factors = off.map(|factor| format!("{} {:.2}: {}", factor.name, factor.value, factor.reason));
    let problem = backend.reports.as_ref().map(|reports| reports.problem.as_str()).unwrap_or_default();
    let problem = (!problem.is_empty()).then(|| format!("last report not counted: {problem}"));
    let state = Some(backend.reason.clone()).filter(|reason| !reason.is_empty());
    state.into_iter().chain(factors).chain(problem).collect::<Vec<_>>().join("; ")
}

/// A weight with as many decimals as tell it from another.
fn effective(weight: f64) -> String {
    if weight.fract().abs() < 0.005 || weight >= 100.0 {
        format!("{weight:.0}")
    } else {
        format!("{weight:.2}")
    }
}

fn reasons(status: &Status, paint: Paint) -> String {
    if status.reasons.is_empty() {
        return "No packets yet.\n\n".to_owned();
    }
    let head = |text, side| Cell::new(text, Colour::Dim, side);
    let mut rows = vec![vec![
        head("PACKETS", Side::Right),
        head("OUTCOME", Side::Left),
        head("REASON", Side::Left),
        head("MEANING", Side::Left),
    ]];
    rows.extend(status.reasons.iter().map(|reason| {
        let colour = if reason.outcome == "drop" { Colour::Yellow } else { Colour::Plain };
        vec![
            Cell::new(reason.packets.to_string(), Colour::Plain, Side::Right),
            Cell::new(clean(&reason.outcome), colour, Side::Left),
            Cell::new(clean(&reason.name), Colour::Plain, Side::Left),
            Cell::new(clean(&reason.description), Colour::Plain, Side::Left),
        ]
    }));
    align(&rows, paint) + "\n"
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

struct Cell {
    text: String,
    colour: Colour,
    side: Side,
}

impl Cell {
    fn new(text: impl Into<String>, colour: Colour, side: Side) -> Self {
        Self { text: text.into(), colour, side }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Columns two spaces apart, each as wide as its widest cell, without spaces at the end of a line.
fn align(rows: &[Vec<Cell>], paint: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut owed = 0;
        for (cell, width) in row.iter().zip(&widths) {
            let room = width - cell.width();
            let (before, after) = if cell.side == Side::Right { (room, 0) } else { (0, room) };
            owed += 2 + before;
            if !cell.text.is_empty() {
                let _ = write!(text, "{:owed$}{}", "", paint.put(&cell.text, cell.colour));
                owed = 0;
            }
            owed += after + if cell.text.is_empty() { cell.width() } else { 0 };
        }
        text.push('\n');
    }
    text
}

/// A rate in at most five characters: "0", "0.4", "12", "1.2k", "999k", "3.4M".
fn short(rate: f64) -> String {
    if rate <= 0.0 || !rate.is_finite() {
        return "0".to_owned();
    }
    let mut value = rate;
    for unit in ["", "k", "M", "G", "T"] {
        let rounded = if value < 9.95 && (!unit.is_empty() || value.fract() >= 0.05) {
            (value * 10.0).round() / 10.0
        } else {
            value.round()
        };
        if rounded < 1000.0 {
            return if rounded.fract() == 0.0 {
                format!("{rounded:.0}{unit}")
            } else {
                format!("{rounded:.1}{unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.0}P")
}

/// Text without anything that would move a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests;
