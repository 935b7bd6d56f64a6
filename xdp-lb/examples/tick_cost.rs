//! What a second costs while weights move everywhere: `cargo run --release -p xdp-lb --example tick_cost`.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use xdp_lb::config::Config;
use xdp_lb::control::{Command, Control, Counters, Event, Report};

const SECONDS: u64 = 30;

#[expect(clippy::disallowed_methods, reason = "measures time")]
fn main() {
    for (vips, backends) in [(1, 256), (16, 256), (64, 64), (64, 256)] {
        let mut now = Instant::now();
        let (mut control, commands) = Control::new(config(vips, backends), None, None, 1, now);
        let watched: Vec<_> = commands
            .into_iter()
            .filter_map(|command| match command {
                Command::WatchReports { backend, address, .. } => Some((backend, address)),
                _ => None,
            })
            .collect();
        let mut costs = Vec::new();
        let (mut published, mut saving, mut bytes) = (0, Duration::ZERO, 0);
        for second in 1..=SECONDS {
            now += Duration::from_secs(1);
            let reports = watched.iter().enumerate().map(|(index, &(backend, address))| {
                // Each is busy for a while, then less so, all at different times.
                let phase = (index as u64 * 7 + second) % 40;
                let utilization = 0.2 + 0.015 * phase as f64;
                let report =
                    Report { utilization: Some(utilization), rate: Some(100.0), ..Report::default() };
                Event::Reported { backend, address, report: Ok(report) }
            });
            control.handle_all(reports.collect::<Vec<_>>(), now);
            let began = Instant::now();
            let commands = control.handle(Event::Counted(Counters::default()), now);
            costs.push(began.elapsed());
            published += commands.iter().filter(|c| matches!(c, Command::WriteSlots { .. })).count();
            let began = Instant::now();
            bytes = serde_json::to_vec(&control.remember(now)).map_or(0, |text| text.len());
            saving += began.elapsed();
        }
        costs.sort_unstable();
        println!(
            "{vips} VIPs of {backends}: a tick takes {:?} at the median, {:?} at most; {published} publishings in \
             {SECONDS} s; state of {bytes} bytes in {:?}",
            costs[costs.len() / 2],
            costs[costs.len() - 1],
            saving / SECONDS as u32
        );
    }
}

fn config(vips: u32, backends: u32) -> Config {
    let mut text = "[agent]\ninterfaces = [\"eth0\"]\nmax_backends = 32000\n".to_owned();
    for vip in 0..vips {
        let _ = write!(
            text,
            "[[vip]]\nname = \"v{vip}\"\naddress = \"203.0.113.{}\"\nport = 80\nforward = \"ipip\"\n\
             [vip.health]\nkind = \"none\"\n[vip.utilization]\nkind = \"orca-http\"\n",
            vip + 1
        );
        for backend in 0..backends {
            let _ = write!(
                text,
                "[[vip.backend]]\nname = \"b{backend}\"\naddress = \"10.{vip}.{}.{}\"\n",
                backend / 200,
                backend % 200 + 1
            );
        }
    }
    Config::from_toml(&text, Path::new("lb.toml")).unwrap_or_else(|errors| {
        println!("{errors}");
        std::process::exit(1)
    })
}
