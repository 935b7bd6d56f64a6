//! curl: a client that is not ours, over each version of HTTP and TLS.

use anyhow::{Context, Result, ensure};

use crate::netns::Netns;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// "HTTP/1.1" or "HTTP/2".
    pub version: String,
    /// Status code.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// Everything after the head, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, named in lower case; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Runs it inside the namespace with these arguments, the last of which is the address.
///
/// # Errors
/// If it gets no whole answer: what it says of that.
pub fn curl(netns: &Netns, arguments: &[&str]) -> Result<Answer> {
    let mut command = netns.command("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "15", "--noproxy", "*"]);
    let output = command.args(arguments).output().context("running curl: `apt-get install curl`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "curl {arguments:?}: {}", said.trim());
    parse(&output.stdout).with_context(|| format!("curl {arguments:?}"))
}

fn parse(mut bytes: &[u8]) -> Result<Answer> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("no end of the head")?;
        let (head, rest) = bytes.split_at(end);
        bytes = rest.get(4..).unwrap_or_default();
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("the answer begins with {first:?}"))?;
        // Before it come those that promise it.
        if status < 200 {
            continue;
        }
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let headers =
            pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        return Ok(Answer { version, status, headers, body: bytes.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_answer_is_what_counts() {
        let answer =
            parse(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\nA: b\r\na: c\r\n\r\n{\"x\":1}").unwrap();
        assert_eq!((answer.version.as_str(), answer.status, answer.header("a")), ("HTTP/2", 200, Some("b")));
        assert_eq!(answer.json()["x"], 1);
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }
}
