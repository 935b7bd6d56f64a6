//! A WebSocket server and client that are not ours: Python's `websockets`; and a client that speaks it over HTTP/2, which
//! that does not.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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

/// Longest time that one step over HTTP/2 may take.
const STEP: Duration = Duration::from_secs(10);

/// A WebSocket over HTTP/2 (RFC 8441).
#[derive(Debug)]
pub struct OverHttp2(TokioIo<Upgraded>);

impl OverHttp2 {
    /// Asks for one of `protocol`; the status of the answer where that is another than 200.
    pub async fn open(
        server: SocketAddr,
        path: &str,
        protocol: Option<&'static str>,
    ) -> Result<Result<Self, StatusCode>> {
        let io = TokioIo::new(TcpStream::connect(server).await?);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        let mut request = match protocol {
            Some(_) => Request::connect(format!("http://{server}{path}")),
            None => Request::connect(server.to_string()),
        }
        .header("sec-websocket-version", "13")
        .body(Empty::<Bytes>::new())?;
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(Protocol::from_static(protocol));
        }
        let response = tokio::time::timeout(STEP, sender.send_request(request)).await??;
        if response.status() != StatusCode::OK {
            return Ok(Err(response.status()));
        }
        for name in ["connection", "upgrade", "sec-websocket-accept"] {
            ensure!(!response.headers().contains_key(name), "HTTP/2 has no {name}");
        }
        Ok(Ok(Self(TokioIo::new(hyper::upgrade::on(response).await?))))
    }

    /// Sends a text and waits for one.
    pub async fn say(&mut self, text: &str) -> Result<String> {
        self.send(0x1, text.as_bytes()).await?;
        let (kind, payload) = self.receive().await?;
        ensure!(kind == 0x1, "a frame of kind {kind}");
        Ok(String::from_utf8(payload)?)
    }

    /// Closes it as RFC 6455 has it, and waits until the other end has, too.
    pub async fn close(mut self) -> Result<()> {
        let normally = 1000_u16.to_be_bytes();
        self.send(0x8, &normally).await?;
        let (kind, payload) = self.receive().await?;
        ensure!((kind, &payload[..]) == (0x8, &normally[..]), "{kind}: {payload:?}");
        let rest = tokio::time::timeout(STEP, self.0.read_u8()).await?;
        ensure!(rest.is_err(), "something comes after the end");
        Ok(())
    }

    /// One whole frame. Its mask, which clients have to have, is of zeroes.
    async fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        tokio::time::timeout(STEP, self.0.write_all(&frame)).await??;
        Ok(())
    }

    async fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        let read = async {
            let (kind, length) = (self.0.read_u8().await?, self.0.read_u8().await?);
            let length = match length {
                126 => self.0.read_u16().await?.into(),
                127 => self.0.read_u64().await?,
                length => length.into(),
            };
            let mut payload = vec![0; usize::try_from(length)?];
            self.0.read_exact(&mut payload).await?;
            anyhow::Ok((kind & 0x0f, payload))
        };
        tokio::time::timeout(STEP, read).await?
    }
}
