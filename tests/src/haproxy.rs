//! HAProxy asking agents, and what it makes of their answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::wait_until_ok;

/// Weight that every server is configured with.
pub const WEIGHT: u32 = 50;

const READY: Duration = Duration::from_secs(10);

/// A running HAProxy with one server for each agent, named `s0`, `s1` and so on. It takes no traffic, and listens on
/// nothing but sockets in a folder of its own.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    scratch: Scratch,
}

/// What HAProxy thinks of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// Whether it is up.
    pub running: bool,
    /// What its operator wants.
    pub admin: Admin,
    /// Weight in use.
    pub weight: u32,
}

/// Whether a server is in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// It is.
    Ready,
    /// No new connections.
    Drain,
    /// It is not.
    Maint,
}

impl Haproxy {
    /// Starts it; it asks an agent at each of `ports` every 50 ms.
    pub fn start(ports: &[u16]) -> Result<Self> {
        let scratch = Scratch::new("haproxy")?;
        let path = scratch.path().join("haproxy.cfg");
        fs::write(&path, configuration(&scratch, ports)).context("writing haproxy.cfg")?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        let process = Process::spawn("haproxy", command, &scratch.path().join("log"))?;
        let mut haproxy = Self { process, scratch };
        wait_until_ok(READY, "HAProxy answers", || {
            haproxy.process.must_run()?;
            let known = haproxy.opinions()?.len();
            ensure!(known == ports.len(), "it knows {known} servers");
            Ok(())
        })?;
        Ok(haproxy)
    }

    /// What it thinks of each server, in order.
    pub fn opinions(&self) -> Result<Vec<Opinion>> {
        let text = self.ask("show servers state")?;
        text.lines().filter(|line| line.contains(" agents ")).map(opinion).collect()
    }

    /// What it says of each server's last answer, by the server's name: "via agent : down (disk)".
    pub fn last_words(&self) -> Result<BTreeMap<String, String>> {
        let text = self.ask("show stat")?;
        let heads = fields(text.lines().next().unwrap_or_default());
        let column = heads.iter().position(|head| head == "last_agt").context("no column last_agt")?;
        let rows = text.lines().map(fields).filter(|row| row.first().is_some_and(|name| name == "agents"));
        Ok(rows.filter_map(|row| Some((row.get(1)?.clone(), row.get(column)?.clone()))).collect())
    }

    /// Its last lines of log.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    fn ask(&self, question: &str) -> Result<String> {
        let mut stream =
            UnixStream::connect(socket(&self.scratch)).context("connecting to HAProxy's socket")?;
        stream.set_read_timeout(Some(READY))?;
        stream.write_all(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn socket(scratch: &Scratch) -> PathBuf {
    scratch.path().join("stats")
}

fn configuration(scratch: &Scratch, ports: &[u16]) -> String {
    let mut text = format!(
        "global
    stats socket {} mode 600 level admin
    maxconn 64
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout check 5s
listen agents
    bind unix@{}
",
        socket(scratch).display(),
        scratch.path().join("traffic").display()
    );
    for (index, port) in ports.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    server s{index} 127.0.0.1:1 weight {WEIGHT} agent-check agent-port {port} agent-inter 50ms"
        );
    }
    text
}

/// A line of comma-separated values, some of them in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for sign in line.chars() {
        match sign {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(sign)),
        }
    }
    fields
}

/// One line of `show servers state`; the bits of the administrative state are HAProxy's `SRV_ADMF_*`.
fn opinion(line: &str) -> Result<Opinion> {
    let fields: Vec<&str> = line.split(' ').collect();
    let number = |index: usize| -> Result<u32> {
        let field = fields.get(index).with_context(|| format!("no field {index} in {line:?}"))?;
        field.parse().with_context(|| format!("field {index} of {line:?}"))
    };
    let admin = match number(6)? {
        bits if bits & 0x01 != 0 => Admin::Maint,
        bits if bits & 0x08 != 0 => Admin::Drain,
        _ => Admin::Ready,
    };
    Ok(Opinion { running: number(5)? == 2, admin, weight: number(7)? })
}
