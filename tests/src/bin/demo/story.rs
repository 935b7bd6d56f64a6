//! What happens in the demo, in order, and what is claimed of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, NO_HEALTH};
use xdp_lb_tests::load::Load;
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::nginx::{Nginx, PORT};
use xdp_lb_tests::scene;
use xdp_lb_tests::topology::{BALANCER, CLIENT, INTERFACE, Options, Topology, VIPS_V4};

use crate::screen::Screen;
use crate::show::{Show, state};
use crate::tally::Since;

const BACKENDS: usize = 3;
const OPEN: usize = 60;
const VIP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(VIPS_V4[0]), PORT);
const LINES: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(VIPS_V4[0]), 7000);

/// How fast the story is told.
#[derive(Debug)]
pub(crate) struct Pace {
    chapter: Duration,
    health: &'static str,
}

/// No warm-up.
const AT_ONCE: &str = "[vip.warmup]\nwindow = \"0s\"";

impl Pace {
    /// To be watched.
    pub(crate) const NORMAL: Self = Self {
        chapter: Duration::from_secs(5),
        health: "kind = \"http\"\npath = \"/healthz\"\ninterval = \"1s\"\nfast_interval = \"250ms\"\nrise = 2\nfall = 2",
    };

    /// To be checked.
    pub(crate) const FAST: Self =
        Self { chapter: Duration::from_millis(1_500), health: xdp_lb_tests::lbconfig::FAST_HEALTH };
}

/// Tells the story; whether everything claimed in it was seen.
pub(crate) fn tell(screen: &mut Screen, pace: &Pace) -> Result<bool> {
    screen.chapter(
        "Building a network: a client, a router, a balancer and three web servers, each in its own namespace",
    );
    let topology = Topology::new(Options { backends: BACKENDS as u8, routed: true, ..Options::default() })?;
    let mut servers = scene::web_servers(&topology)?;
    let _line_servers = scene::line_servers(&topology, LINES.port())?;
    screen.say(&format!(
        "nginx on {}, {} and {}",
        address(&topology, 0),
        address(&topology, 1),
        address(&topology, 2)
    ));
    let _decaps = scene::decaps(&topology)?;
    screen.say("on each of them `xdp-lb decap`, which takes packets out of the balancer's tunnel");
    let mut agent = Agent::new(&topology.balancer)?;
    let config = configuration(&topology, pace);
    agent.run(&config, &[])?;
    let mode = agent.status()?.interfaces.first().map_or("no", |interface| &interface.mode).to_owned();
    screen
        .say(&format!("`xdp-lb run` on {INTERFACE} of {}, XDP in {mode} mode, balancing {VIP}", BALANCER.0));
    screen.say(&format!(
        "look yourself, in another terminal: xdp-lb status --socket {}",
        agent.socket().display()
    ));

    let client = topology.client.handle();
    let load = Load::start(client, VIP, 3, Duration::from_millis(3));
    let open = LongLived::open(client, LINES, OPEN)?;
    let mut show = Show::new(screen, load, open, BACKENDS);
    everything_up(&mut show, &agent, pace)?;
    a_server_dies(&mut show, &agent, pace, &mut servers[1])?;
    the_server_returns(&mut show, &agent, pace, &mut servers[1])?;
    one_is_drained(&mut show, &mut agent, pace, &config)?;
    the_agent_dies(&mut show, &mut agent, pace)?;
    the_agent_returns(&mut show, &mut agent, pace, &config)?;
    summary(show)
}

fn address(topology: &Topology, index: usize) -> String {
    topology.backend_address(index).0.to_string()
}

fn configuration(topology: &Topology, pace: &Pace) -> LbConfig {
    // A server that returns would warm up over 90 s: here each step is to be seen at once.
    let health = format!("{}\n{AT_ONCE}", pace.health);
    let web = scene::vip(topology, VIP, "ipip", &[100; BACKENDS]).health(&health);
    let mut lines =
        scene::vip(topology, LINES, "ipip", &[100; BACKENDS]).health(&format!("{NO_HEALTH}\n{AT_ONCE}"));
    lines.name = "lines".to_owned();
    LbConfig::new(vec![web, lines])
}

fn everything_up(show: &mut Show<'_>, agent: &Agent<'_>, pace: &Pace) -> Result<()> {
    show.screen.chapter("Everything is up");
    show.screen.say(&format!(
        "{} makes one connection after the other and asks each server for its name;",
        CLIENT.0
    ));
    show.screen.say(&format!("{OPEN} more connections stay open to the end and talk all the time"));
    let seen = show.watch(agent, pace.chapter)?;
    let even = (0..BACKENDS).all(|index| (0.2..0.5).contains(&seen.share(&scene::name(index))));
    show.claim(even, &format!("each server gets about a third: {}", shares(&seen)));
    show.claim(seen.failures.is_empty(), &format!("{} requests, {} failed", seen.all(), seen.failures.len()));
    Ok(())
}

fn a_server_dies(show: &mut Show<'_>, agent: &Agent<'_>, pace: &Pace, server: &mut Nginx<'_>) -> Result<()> {
    show.screen.chapter("The web server on web-2 is killed");
    server.stop()?;
    let failing = show.until(agent, "web-2 is down", |status| state(status, "web-2") == Some("down"))?;
    // Requests under way when the agent noticed still end in failure.
    let late = show.watch(agent, Duration::from_millis(300))?;
    let count = failing.failures.len() + late.failures.len();
    let both = Since { failures: [failing.failures, late.failures].concat(), ..Since::default() };
    let failing = both.failing().as_secs_f64();
    show.screen
        .say(&format!("{count} requests failed, over {failing:.2} s, until the health check took it out"));
    let seen = show.watch(agent, pace.chapter)?;
    let moved = seen.share("web-2") == 0.0 && seen.share("web-1") > 0.3 && seen.share("web-3") > 0.3;
    show.claim(moved, &format!("its share went to the other two: {}", shares(&seen)));
    show.claim(
        seen.failures.is_empty(),
        &format!("since then {} requests, {} failed", seen.all(), seen.failures.len()),
    );
    Ok(())
}

fn the_server_returns(
    show: &mut Show<'_>,
    agent: &Agent<'_>,
    pace: &Pace,
    server: &mut Nginx<'_>,
) -> Result<()> {
    show.screen.chapter("The web server on web-2 is started again");
    server.start_again()?;
    let before = show.until(agent, "web-2 is up", |status| state(status, "web-2") == Some("up"))?;
    let seen = show.watch(agent, pace.chapter)?;
    let failed = before.failures.len() + seen.failures.len();
    show.claim(seen.share("web-2") > 0.2, &format!("its share came back: {}", shares(&seen)));
    show.claim(failed == 0, &format!("{} requests, {failed} failed", before.all() + seen.all()));
    Ok(())
}

fn one_is_drained(show: &mut Show<'_>, agent: &mut Agent<'_>, pace: &Pace, config: &LbConfig) -> Result<()> {
    show.screen.chapter("web-3 is drained: `drain = true` in lb.toml, then SIGHUP");
    let mut draining = config.clone();
    draining.vips.iter_mut().for_each(|vip| vip.backends[2].drain = true);
    let lost = show.open.lost();
    agent.reload(&draining)?;
    // Requests under way when the change came still end on web-3.
    let before = show.watch(agent, Duration::from_millis(300))?;
    let seen = show.watch(agent, pace.chapter)?;
    show.open.wait_lines(3)?;
    show.claim(seen.share("web-3") == 0.0, &format!("no new connection goes there: {}", shares(&seen)));
    let broken = show.open.lost() - lost;
    show.claim(
        broken == 0,
        &format!("of the {OPEN} open connections, {broken} were lost: they finish where they are"),
    );
    let failed = before.failures.len() + seen.failures.len();
    show.claim(failed == 0, &format!("{} requests, {failed} failed", before.all() + seen.all()));
    agent.reload(config)
}

fn the_agent_dies(show: &mut Show<'_>, agent: &mut Agent<'_>, pace: &Pace) -> Result<()> {
    show.screen.chapter("web-3 is back, and the agent is killed: kill -9, no time to clean up");
    agent.kill()?;
    let seen = show.watch(agent, pace.chapter)?;
    let going_on = seen.all() > 0 && seen.failures.is_empty();
    let (all, failed) = (seen.all(), seen.failures.len());
    show.claim(
        going_on,
        &format!("the kernel goes on without it: {all} requests, {failed} failed, {}", shares(&seen)),
    );
    Ok(())
}

fn the_agent_returns(
    show: &mut Show<'_>,
    agent: &mut Agent<'_>,
    pace: &Pace,
    config: &LbConfig,
) -> Result<()> {
    show.screen.chapter("The agent is started again and takes over what it finds in the kernel");
    agent.run(config, &[])?;
    let seen = show.watch(agent, pace.chapter)?;
    let even = (0..BACKENDS).all(|index| (0.2..0.5).contains(&seen.share(&scene::name(index))));
    show.claim(even, &format!("the same table: {}", shares(&seen)));
    show.claim(seen.failures.is_empty(), &format!("{} requests, {} failed", seen.all(), seen.failures.len()));
    Ok(())
}

fn summary(show: Show<'_>) -> Result<bool> {
    show.screen.chapter("Summary");
    let all_seen = show.all_seen();
    let Show { screen, load, open, tally, .. } = show;
    drop(load);
    let report = open.stop()?;
    let answered: u64 = tally.totals.values().sum();
    let failed = tally.failed;
    let when = if all_seen && failed > 0 { ", all of them before web-2's death was noticed" } else { "" };
    screen.say(&format!("{answered} requests answered, {failed} failed{when}"));
    let whole = report.broken.is_empty() && report.wrong.is_empty();
    screen.verdict(
        whole,
        &format!("{OPEN} connections stayed open throughout and exchanged {} lines:", report.lines),
    );
    screen.say(&format!("{} were reset, {} changed their server", report.broken.len(), report.wrong.len()));
    let verdict =
        if all_seen && whole { "Everything claimed was seen." } else { "Not everything claimed was seen." };
    screen.say(verdict);
    Ok(all_seen && whole)
}

fn shares(since: &Since) -> String {
    let share = |index| format!("{} {:.0} %", scene::name(index), since.share(&scene::name(index)) * 100.0);
    (0..BACKENDS).map(share).collect::<Vec<_>>().join(", ")
}
