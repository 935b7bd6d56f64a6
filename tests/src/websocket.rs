//! A WebSocket server and client that are not ours: Python's `websockets`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::netns::Netns;
use crate::process::Process;
use crate::wait::wait_until_ok;

/// The system's own: another one may not have the module.
const PYTHON: &str = "/usr/bin/python3";

/// Sends back what it gets, and tells which headers the opening request had.
const SERVER: &str = r#"
import asyncio, sys, websockets
async def echo(socket, path):
    async for message in socket:
        await socket.send(socket.request_headers.get("X-Forwarded-For", "none") if message == "who" else message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None):
        print("ready", flush=True)
        await asyncio.Future()
asyncio.run(main())
"#;

/// Sends messages of text and of bytes, small and large, and a ping; prints what the server said of it.
const CLIENT: &str = r#"
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], max_size=None) as socket:
        for size in (0, 1, 125, 126, 65535, 65536, 1000000):
            await socket.send("x" * size)
            assert await socket.recv() == "x" * size, size
            await socket.send(b"\0" * size)
            assert await socket.recv() == b"\0" * size, size
        await asyncio.wait_for(await socket.ping(), 5)
        await asyncio.sleep(float(sys.argv[2]))
        await socket.send("who")
        print(await socket.recv())
asyncio.run(main())
"#;

/// The server; ends on drop.
#[derive(Debug)]
pub struct EchoServer(Process);

impl EchoServer {
    /// Starts it on a port of loopback and waits until it answers.
    pub fn start(netns: &Netns, port: u16, folder: &Path) -> Result<Self> {
        let mut command = netns.command(PYTHON);
        command.args(["-c", SERVER, &port.to_string()]);
        let mut process = Process::spawn("the WebSocket server", command, &folder.join("websocket.log"))?;
        wait_until_ok(Duration::from_secs(20), "the WebSocket server is ready", || {
            process.must_run()?;
            ensure!(process.tail().contains("ready"), "it is not");
            Ok(())
        })?;
        Ok(Self(process))
    }

    /// Its last lines.
    pub fn tail(&self) -> String {
        self.0.tail()
    }
}

/// Talks to the server at `url`, is silent for some seconds in between, and gives back whom the server took it for.
pub fn talk(netns: &Netns, url: &str, silent: Duration) -> Result<String> {
    let mut command = netns.command(PYTHON);
    command.args(["-c", CLIENT, url, &silent.as_secs_f64().to_string()]);
    let output = command.output().context("running the WebSocket client")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "it failed: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
