//! The real agent, as its users run it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use rustix::thread::CapabilitySet;
use serde::de::DeserializeOwned;
use xdp_lb::control::{BackendStatus, Explanation, Status, VipStatus};

use crate::ip;
use crate::lbconfig::LbConfig;
use crate::netns::Netns;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::topology::INTERFACE;
use crate::wait::{wait_until, wait_until_ok};

const READY: Duration = Duration::from_secs(20);

/// `xdp-lb run` in a namespace, with folders of its own. On drop it is stopped and its pins are removed.
#[derive(Debug)]
pub struct Agent<'a> {
    process: Option<Process>,
    netns: &'a Netns,
    scratch: Scratch,
    binary: PathBuf,
}

impl<'a> Agent<'a> {
    /// Prepares an agent's folders in `netns` without starting it.
    pub fn new(netns: &'a Netns) -> Result<Self> {
        let (scratch, binary) = (Scratch::with_bpf_fs("lb")?, binary()?);
        fs::create_dir(scratch.path().join("state")).context("making the state folder")?;
        Ok(Self { process: None, netns, scratch, binary })
    }

    /// Starts an agent with `config` and waits until every backend is where the configuration wants it.
    pub fn start(netns: &'a Netns, config: &LbConfig) -> Result<Self> {
        let mut agent = Self::new(netns)?;
        agent.run(config, &[])?;
        Ok(agent)
    }

    /// Starts it with `config`, and with `arguments` after `--config FILE`; waits as [`start`](Self::start) does.
    pub fn run(&mut self, config: &LbConfig, arguments: &[&str]) -> Result<()> {
        self.launch(config, arguments)?;
        self.wait_settled(config)
    }

    /// Starts it without waiting.
    pub fn launch(&mut self, config: &LbConfig, arguments: &[&str]) -> Result<()> {
        self.launch_text(&self.text_of(config), arguments)
    }

    /// Starts it with the text of a configuration, without waiting.
    pub fn launch_text(&mut self, text: &str, arguments: &[&str]) -> Result<()> {
        fs::write(self.config_path(), text).context("writing lb.toml")?;
        let mut command = self.netns.command(&self.binary);
        command.arg("run").arg("--config").arg(self.config_path()).args(arguments);
        self.process = Some(Process::spawn("the agent", command, &self.log_path())?);
        Ok(())
    }

    /// Runs it with the text of a configuration that it is expected to refuse; what it said.
    pub fn run_refused(&self, text: &str) -> Result<Output> {
        self.run_refused_without(text, &[])
    }

    /// The same without these capabilities, each a set of one.
    pub fn run_refused_without(&self, text: &str, dropped: &[CapabilitySet]) -> Result<Output> {
        fs::write(self.config_path(), text).context("writing lb.toml")?;
        let mut command = self.netns.command_without(&self.binary, dropped);
        command.arg("run").arg("--config").arg(self.config_path());
        let log = self.scratch.path().join("refusal");
        // Each answer by itself.
        let _ = fs::remove_file(&log);
        let mut process = Process::spawn("the agent", command, &log)?;
        let status = wait_until(READY, "the agent refused to start", || process.ended())?;
        let stderr = fs::read(&log).context("reading the agent's log")?;
        Ok(Output { status, stdout: Vec::new(), stderr })
    }

    /// The text of `config` as this agent would get it.
    pub fn text_of(&self, config: &LbConfig) -> String {
        config.to_toml(&self.scratch.path().join("state"), &self.pins())
    }

    /// Gives it a new configuration by SIGHUP and waits until that is in force.
    pub fn reload(&mut self, config: &LbConfig) -> Result<()> {
        self.write(config)?;
        self.process.as_ref().context("the agent is not running")?.signal(Signal::HUP)?;
        self.wait_settled(config)
    }

    /// What it says about itself.
    pub fn status(&self) -> Result<Status> {
        self.ask(&["status"])
    }

    /// Where it says that a connection from `client` to `vip` goes.
    pub fn explain(&self, vip: SocketAddr, client: SocketAddr) -> Result<Explanation> {
        self.ask(&["explain", &vip.to_string(), &client.to_string()])
    }

    /// What a command of the command line prints as JSON.
    fn ask<T: DeserializeOwned>(&self, question: &[&str]) -> Result<T> {
        let mut command = Command::new(&self.binary);
        command.args(question).args(["--json", "--socket"]).arg(self.socket());
        let output = command.output().with_context(|| format!("running {}", self.binary.display()))?;
        let text = ip::checked(&format!("xdp-lb {} --json", question.join(" ")), output)?;
        serde_json::from_str(&text).with_context(|| format!("`xdp-lb {}` printed {text}", question[0]))
    }

    /// Waits until the backend `name` of the first VIP is in `state`.
    pub fn wait_state(&self, name: &str, state: &str, within: Duration) -> Result<()> {
        wait_until_ok(within, &format!("{name} is {state}"), || {
            let status = self.status()?;
            let vip = status.vips.first().context("status names no VIP")?;
            let backend = backend(vip, name)?;
            ensure!(backend.state == state, "{name} is {}: {}", backend.state, backend.reason);
            Ok(())
        })
    }

    /// SIGKILL: it cannot clean up.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the agent is not running")?;
        process.kill().map(drop)
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.take().context("the agent is not running")?.terminate()
    }

    /// Where it pins its program and maps.
    pub fn pins(&self) -> PathBuf {
        self.scratch.bpf().join("lb")
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("state/control.sock")
    }

    /// Whether there is anything in its pin folder.
    pub fn has_pins(&self) -> bool {
        fs::read_dir(self.pins()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Its process, where it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> String {
        self.process.as_ref().map_or_else(|| "the agent is not running".to_owned(), Process::tail)
    }

    fn wait_settled(&mut self, config: &LbConfig) -> Result<()> {
        let mut settled = || {
            wait_until_ok(READY, "the agent has the configuration in force", || {
                if let Some(process) = &mut self.process
                    && let Some(status) = process.ended()
                {
                    return Ok(Err(status));
                }
                check_settled(config, &self.status()?).map(Ok)
            })
        };
        match settled() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("the agent ended: {status}\n{}", self.tail()),
            Err(error) => Err(error.context(self.tail())),
        }
    }

    fn write(&self, config: &LbConfig) -> Result<()> {
        fs::write(self.config_path(), self.text_of(config)).context("writing lb.toml")
    }

    fn config_path(&self) -> PathBuf {
        self.scratch.path().join("lb.toml")
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }
}

/// Whether an XDP program is attached to the one interface of `netns`.
pub fn has_xdp(netns: &Netns) -> Result<bool> {
    Ok(xdp_mode(netns, INTERFACE)?.is_some())
}

/// "native" or "generic", where an XDP program is attached to `interface` of `netns`.
pub fn xdp_mode(netns: &Netns, interface: &str) -> Result<Option<&'static str>> {
    let text = ip::run(&["-netns", netns.name(), "-json", "link", "show", "dev", interface])?;
    let links: Vec<serde_json::Value> =
        serde_json::from_str(&text).with_context(|| format!("`ip` printed {text}"))?;
    let mode = links.first().and_then(|link| link.get("xdp")?.get("mode")?.as_u64());
    Ok(mode.map(|mode| if mode == 2 { "generic" } else { "native" }))
}

/// The backend `name` of `vip`.
pub fn backend<'s>(vip: &'s VipStatus, name: &str) -> Result<&'s BackendStatus> {
    vip.backends
        .iter()
        .find(|backend| backend.name == name)
        .with_context(|| format!("status names no {name}"))
}

/// The agent's executable: `XDP_LB_BIN`, or the one built beside this test.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("XDP_LB_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("finding this executable")?;
    let found =
        own.ancestors().skip(1).take(2).map(|folder| folder.join("xdp-lb")).find(|path| path.is_file());
    found.with_context(|| {
        let folder = own.parent().unwrap_or(Path::new("")).display();
        format!(
            "there is no `xdp-lb` in or above {folder}: run `cargo build --package xdp-lb`, or set XDP_LB_BIN"
        )
    })
}

/// Every backend of the configuration is known with its weight, its way and its state; drained ones drain.
fn check_settled(config: &LbConfig, status: &Status) -> Result<()> {
    ensure!(status.vips.len() == config.vips.len(), "{} of {} VIPs", status.vips.len(), config.vips.len());
    for wanted in &config.vips {
        let vip = status.vips.iter().find(|vip| vip.name == wanted.name);
        let vip = vip.with_context(|| format!("no VIP {}", wanted.name))?;
        for wanted in &wanted.backends {
            let backend = backend(vip, &wanted.name)?;
            let state = if wanted.drain || wanted.weight == 0 { "draining" } else { "up" };
            ensure!(backend.state == state, "{} is {}: {}", backend.name, backend.state, backend.reason);
            ensure!(backend.weight == wanted.weight, "{} has weight {}", backend.name, backend.weight);
            ensure!(backend.next_hop == "resolved", "way to {}: {}", backend.name, backend.next_hop);
        }
        let others =
            vip.backends.iter().filter(|b| wanted.backends.iter().all(|wanted| wanted.name != b.name));
        for backend in others {
            ensure!(backend.state == "removed", "{} is still {}", backend.name, backend.state);
        }
    }
    Ok(())
}
