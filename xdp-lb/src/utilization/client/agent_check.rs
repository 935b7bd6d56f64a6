//! HAProxy's agent-check: connect, say what is to be said, read a line.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Limit, connect, unreachable};
use crate::config::Percent;
use crate::control::{NoReport, Report};
use crate::utilization::{MOST_BYTES, agent_check};

pub(crate) async fn ask(
    address: SocketAddr,
    send: &str,
    percent: Percent,
    limit: &Limit,
) -> Result<Report, NoReport> {
    let mut stream = connect(address, limit).await?;
    let exchange = async {
        stream.write_all(send.as_bytes()).await?;
        read_line(&mut stream).await
    };
    let answer = limit.hold("connected, but no whole line", exchange).await?.map_err(|e| unreachable(&e))?;
    agent_check::parse(&answer, percent)
}

/// Up to the end of the first line, of the stream, or of what a report may take.
async fn read_line(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::with_capacity(256);
    let mut bounded = stream.take(MOST_BYTES as u64);
    loop {
        let before = answer.len();
        match bounded.read_buf(&mut answer).await {
            Ok(0) => return Ok(answer),
            Ok(_) if answer[before..].iter().any(|byte| matches!(byte, b'\r' | b'\n')) => return Ok(answer),
            Ok(_) => {}
            // An agent that resets in place of closing has said what it had to say.
            Err(_) if before > 0 => return Ok(answer),
            Err(error) => return Err(error),
        }
    }
}
