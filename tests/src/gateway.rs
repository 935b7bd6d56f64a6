//! The real gateway, in a namespace, as a user without privileges.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::agent::binary;
use crate::client;
use crate::netns::Netns;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::wait_until_ok;

/// How long it may take to start, to reload or to end.
const READY: Duration = Duration::from_secs(20);

/// Where it is asked how it fares; configurations have to say so.
pub const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9401);

/// How configurations begin that want nothing special: a log in the folder, and a listener at [`PUBLIC`].
pub const BEGINNING: &str = r#"
[gateway]
threads = 2
drain = "5s"
[admin]
listen = "127.0.0.1:9401"
[log]
path = "{folder}/access.log"
[[listener]]
name = "public"
address = "127.0.0.1:8080"
"#;

/// Where [`BEGINNING`] listens.
pub const PUBLIC: &str = "127.0.0.1:8080";

/// User and group that it runs as: nobody's.
const NOBODY: u32 = 65_534;

/// The gateway with its folder.
#[derive(Debug)]
pub struct Gateway<'a> {
    netns: &'a Netns,
    scratch: Scratch,
    process: Option<Process>,
}

impl<'a> Gateway<'a> {
    /// A folder for its files, and no process yet.
    pub fn new(netns: &'a Netns) -> Result<Self> {
        let scratch = Scratch::new("gateway")?;
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
            .context("opening the folder")?;
        chown(scratch.path(), Some(NOBODY), Some(NOBODY)).context("giving the folder away")?;
        Ok(Self { netns, scratch, process: None })
    }

    /// Its folder, which it may write to.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// A file in its folder, readable for it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        fs::write(&path, contents).with_context(|| format!("writing {name}"))?;
        chown(&path, Some(NOBODY), Some(NOBODY)).with_context(|| format!("giving {name} away"))?;
        Ok(path)
    }

    /// Starts it with this configuration, in which `{folder}` is its folder, and waits until it serves.
    pub fn start(&mut self, text: &str) -> Result<()> {
        self.configure(text)?;
        self.process = Some(self.spawn()?);
        self.wait_ready()
    }

    /// Starts another beside the running one, which hands its sockets over and ends; waits for both.
    pub fn replace(&mut self) -> Result<ExitStatus> {
        let ended = self.succeed()?;
        self.wait_ready()?;
        Ok(ended)
    }

    /// The same, but waits for the end of the predecessor only.
    pub fn succeed(&mut self) -> Result<ExitStatus> {
        let mut old = self.start_beside()?;
        wait_until_ok(READY, "the predecessor has ended", || old.ended().context("it still runs"))
    }

    /// Starts another beside the running one, without waiting; the old one.
    pub fn start_beside(&mut self) -> Result<Process> {
        let new = self.spawn()?;
        self.process.replace(new).context("nothing runs that could be replaced")
    }

    /// Waits until the old one has ended, and the new one serves.
    pub fn wait_replaced(&mut self, mut old: Process) -> Result<ExitStatus> {
        let ended =
            wait_until_ok(READY, "the predecessor has ended", || old.ended().context("it still runs"))?;
        self.wait_ready()?;
        Ok(ended)
    }

    /// Waits until it has ended by itself.
    pub fn wait_ended(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("it does not run")?;
        wait_until_ok(READY, "the gateway has ended", || process.ended().context("it still runs"))
    }

    /// Gives it another configuration and waits until it has read it; what it says of that.
    pub fn reload(&mut self, text: &str) -> Result<()> {
        let before = self.reloads()?;
        self.configure(text)?;
        self.process.as_ref().context("it does not run")?.signal(Signal::HUP)?;
        wait_until_ok(READY, "the configuration has been read again", || {
            let now = self.reloads()?;
            ensure!(now != before, "still {before:?} reloads");
            Ok(now)
        })
        .with_context(|| self.tail())?;
        Ok(())
    }

    /// Reloads that changed something, and reloads that were refused.
    pub fn reloads(&self) -> Result<(f64, f64)> {
        let page = self.metrics()?;
        let value =
            |outcome| metric(&page, &format!("xdp_lb_gateway_reloads_total{{outcome=\"{outcome}\"}}"));
        Ok((value("done")?, value("refused")?))
    }

    /// What runs with a configuration that is wrong: its outputs and exit code.
    pub fn run_refused(&self, text: &str) -> Result<Output> {
        self.configure(text)?;
        self.command()?.output().context("running the gateway")
    }

    /// Its metrics, as a page.
    pub fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.ask("/metrics")?.body).into_owned())
    }

    /// What it knows of its servers.
    pub fn status(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.ask("/status")?.body).context("reading /status")
    }

    /// A page of its admin address.
    pub fn ask(&self, path: &str) -> Result<client::Response> {
        self.netns.run_in(|| {
            client::get(SocketAddr::from(ADMIN), path, READY).with_context(|| format!("asking for {path}"))
        })
    }

    /// What its access log holds, once `is` is true of one of its lines: that line.
    pub fn logged(&self, is: impl Fn(&str) -> bool) -> Result<String> {
        wait_until_ok(READY, "the line is in the access log", || {
            let text = fs::read_to_string(self.folder().join("access.log"))?;
            text.lines().find(|line| is(line)).map(str::to_owned).with_context(|| text.clone())
        })
    }

    /// Waits until something is so of its servers, as `/status` tells of them.
    pub fn wait_servers(&self, what: &str, is: impl Fn(&[serde_json::Value]) -> bool) -> Result<()> {
        wait_until_ok(READY, what, || {
            let status = self.status()?;
            let pools = status["pools"].as_array().map_or(&[][..], Vec::as_slice);
            let servers = pools.iter().filter_map(|pool| pool["servers"].as_array()).flatten();
            let servers: Vec<_> = servers.cloned().collect();
            ensure!(is(&servers), "{status:#}");
            Ok(())
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("it does not run")?.signal(signal)
    }

    /// Ends it in good order.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.take().context("it does not run")?.terminate()
    }

    /// Its number.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("it does not run")?.pid())
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> String {
        self.process.as_ref().map_or_else(|| "the gateway does not run".to_owned(), Process::tail)
    }

    fn configure(&self, text: &str) -> Result<()> {
        self.write("gateway.toml", text.replace("{folder}", &self.folder().display().to_string())).map(drop)
    }

    fn command(&self) -> Result<std::process::Command> {
        let mut command = self.netns.command("setpriv");
        let id = NOBODY.to_string();
        command.args([
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
        command
            .arg(executable(self.folder())?)
            .arg("gateway")
            .arg("--config")
            .arg(self.folder().join("gateway.toml"));
        Ok(command)
    }

    fn spawn(&self) -> Result<Process> {
        Process::spawn("the gateway", self.command()?, &self.folder().join("log"))
    }

    fn wait_ready(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it does not run")?;
        let netns = self.netns;
        let ready = netns.run_in(|| {
            wait_until_ok(READY, "the gateway is ready", || {
                if let Some(status) = process.ended() {
                    return Ok(Err(status));
                }
                let answer = client::get(SocketAddr::from(ADMIN), "/readyz", Duration::from_secs(1))?;
                ensure!(answer.status == 200, "it is not: {}", answer.text());
                Ok(Ok(()))
            })
        });
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => anyhow::bail!("the gateway ended: {status}\n{}", self.tail()),
            Err(error) => Err(error.context(self.tail())),
        }
    }
}

/// The value of one sample of a page of metrics; 0 if it is not there.
pub fn metric(page: &str, sample: &str) -> Result<f64> {
    let found = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.map_or(Ok(0.0), |value| value.parse().with_context(|| format!("{sample} is {value}")))
}

/// The executable where that user may run it: its own folder may be closed to others.
fn executable(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("xdp-lb");
    if !copy.exists() {
        let built = binary()?;
        if fs::hard_link(&built, &copy).is_err() {
            fs::copy(&built, &copy).with_context(|| format!("copying {}", built.display()))?;
        }
    }
    Ok(copy)
}
