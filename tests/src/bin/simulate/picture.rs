//! The regrets as one picture: policy × scenario, the darker the worse. Readable on light and on dark ground.

use std::fmt::Write as _;

use crate::figures::Figures;

const LEFT: usize = 110;
const TOP: usize = 92;
const WIDTH: usize = 74;
const HEIGHT: usize = 26;
/// Between the scenarios and the worst case.
const GAP: usize = 10;
/// The best, somewhat worse, far worse: at regret 1, 2 and 10 and above. Dark enough for white
/// figures, and told apart by the colour-blind.
const COLOURS: [[f64; 3]; 3] = [[46.0, 125.0, 140.0], [170.0, 105.0, 20.0], [176.0, 48.0, 48.0]];

/// The picture as SVG.
pub(crate) fn draw(figures: &Figures) -> String {
    let (columns, rows) = (figures.scenarios.len(), figures.rows.len());
    let (width, height) = (LEFT + (columns + 1) * WIDTH + GAP + 10, TOP + rows * HEIGHT + 42);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>Regret of each policy in each scenario</title>\n\
         <style>.word {{ fill: #24292f }} .cell {{ fill: #fff; text-anchor: middle; font-variant-numeric: tabular-nums }} \
         .own {{ font-weight: bold }} @media (prefers-color-scheme: dark) {{ .word {{ fill: #e6edf3 }} }}</style>\n"
    );
    text(&mut out, 8, 20, "word own", "Regret: cost over that of the best policy with the same requests");
    let note = "cost = p99 of good answers × (1 + errors / 1 %); 1.00 is the best; medians over seeds";
    text(&mut out, 8, 38, "word", note);
    for (column, scenario) in figures.scenarios.iter().enumerate() {
        head(&mut out, LEFT + column * WIDTH, scenario.name);
    }
    let last = LEFT + columns * WIDTH + GAP;
    head(&mut out, last, "worst-case");
    for (place, row) in figures.rows.iter().enumerate() {
        let y = TOP + place * HEIGHT;
        text(&mut out, 8, y + 17, if row.own { "word own" } else { "word" }, row.name);
        for (column, cell) in figures.cells[place].iter().enumerate() {
            square(&mut out, LEFT + column * WIDTH, y, cell.regret.median);
        }
        square(&mut out, last, y, figures.worst[place].median);
    }
    let seeds = figures.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    let foot = format!("cargo xtask simulate; seeds {seeds}");
    text(&mut out, 8, TOP + rows * HEIGHT + 26, "word", &foot);
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, x: usize, y: usize, class: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>");
}

/// A column's name, its words below each other.
fn head(out: &mut String, x: usize, name: &str) {
    for (line, word) in name.split('-').enumerate() {
        let (x, y) = (x + WIDTH / 2, TOP - 26 + line * 15);
        let _ =
            writeln!(out, "<text x=\"{x}\" y=\"{y}\" class=\"word\" text-anchor=\"middle\">{word}</text>");
    }
}

fn square(out: &mut String, x: usize, y: usize, regret: f64) {
    let (width, height) = (WIDTH - 2, HEIGHT - 2);
    let fill = colour(regret);
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\" fill=\"{fill}\"/>"
    );
    let number = if regret < 99.5 { format!("{regret:.2}") } else { format!("{regret:.0}") };
    text(out, x + width / 2, y + 17, "cell", &number);
}

/// By the logarithm, for regret is a ratio.
fn colour(regret: f64) -> String {
    let [best, middle, worst] = COLOURS;
    let log = regret.max(1.0).log2();
    let (from, to, part) = if log < 1.0 {
        (best, middle, log)
    } else {
        (middle, worst, ((log - 1.0) / (10f64.log2() - 1.0)).min(1.0))
    };
    let mix = |i: usize| (from[i] + (to[i] - from[i]) * part).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_good_to_bad() {
        for (regret, expected) in [(1.0, "#2e7d8c"), (2.0, "#aa6914"), (10.0, "#b03030"), (500.0, "#b03030")]
        {
            assert_eq!(colour(regret), expected);
        }
    }
}
