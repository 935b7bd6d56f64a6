//! HAProxy's agent-check: one line, whatever the client says.
//!
//! `ready 63%`: what the operator wants, where a state file is there to say so, and how much of the host is idle. Never
//! `up`: an agent that says so puts a server back that HAProxy's own health checks are about to take out. Never less
//! than 1 %: a busy host is not one that wants no connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::sampler::Sample;
use crate::control::AdminState;

/// How long a client may take in all.
const WHOLE_TIME: Duration = Duration::from_secs(2);

/// Bytes that a client may say.
const MOST_SAID: u64 = 4096;

pub(super) async fn answer(mut client: TcpStream, samples: watch::Receiver<Sample>) {
    let line = line(&samples.borrow());
    let talk = async move {
        client.write_all(line.as_bytes()).await?;
        client.shutdown().await?;
        // A connection closed on what was not read is reset, and a reset may overtake the line.
        client.take(MOST_SAID).read_to_end(&mut Vec::new()).await
    };
    // A client that breaks off or is too slow is its own affair.
    let _ = timeout(WHOLE_TIME, talk).await;
}

fn line(sample: &Sample) -> String {
    let admin = sample.admin.map(|admin| match admin {
        AdminState::Ready => "ready".to_owned(),
        AdminState::Drain => "drain".to_owned(),
        AdminState::Maint => "maint".to_owned(),
    });
    let idle = sample.utilization.map(|used| format!("{:.0}%", ((1.0 - used) * 100.0).max(1.0)));
    let words: Vec<String> = admin.into_iter().chain(idle).collect();
    words.join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (admin, utilization, expected) in [
            (None, Some(0.0), "100%\n"),
            (None, Some(0.374), "63%\n"),
            (Some(AdminState::Ready), Some(1.0), "ready 1%\n"),
            (Some(AdminState::Drain), Some(0.5), "drain 50%\n"),
            (Some(AdminState::Maint), None, "maint\n"),
            (None, None, "\n"),
        ] {
            assert_eq!(line(&Sample { admin, utilization, age: None }), expected);
        }
    }
}
