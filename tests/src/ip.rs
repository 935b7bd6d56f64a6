//! The `ip` and `ethtool` commands.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `ip` with `arguments`; its standard output.
pub fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("running `ip`: install it with `cargo xtask setup` or `apt-get install iproute2`")?;
    checked(&format!("ip {}", arguments.join(" ")), output)
}

/// Runs the `lines` of `ip` commands in one process, in the namespace `netns` or in this process's own.
pub fn batch(netns: Option<&str>, lines: &[String]) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(netns) = netns {
        command.args(["-netns", netns]);
    }
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("running `ip`: install it with `cargo xtask setup` or `apt-get install iproute2`")?;
    let mut text = lines.join("\n");
    text.push('\n');
    child.stdin.take().context("`ip` has no standard input")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    checked(&format!("ip -batch in {}:\n{text}", netns.unwrap_or("this namespace")), output).map(drop)
}

/// The output's text, or an error that says which command failed and how.
pub(crate) fn checked(what: &str, output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
