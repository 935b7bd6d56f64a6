//! What operators ask the agent: control socket and metrics. Never changes anything.
//!
//! The control socket is a Unix stream socket. A question is one line of JSON, and so is its answer:
//!
//! ```text
//! → {"ask":"status"}
//! ← {"vips":[…],"interfaces":[…],"reasons":[…],"flows":0,"flow_capacity":1048576}
//! → {"ask":"explain","vip":"web","client":"198.51.100.7:40000"}
//! ← {"vip":"web","slot":17,"hash":…,"current":"web-1",…}
//! → {"ask":"explain","vip":"nosuch","client":"198.51.100.7:40000"}
//! ← {"error":"no VIP is called \"nosuch\"; …"}
//! ```

pub mod admin;
pub mod client;
pub mod control;
pub mod exposition;
mod metrics;
pub mod web;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::control::{Explanation, Status};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub enum Question {
    /// Everything about VIPs and backends.
    Status {},
    /// Where a connection goes.
    Explain {
        /// A VIP's name, or address:port with or without /tcp or /udp.
        vip: String,
        /// The client's end of the connection.
        client: SocketAddr,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`Question::Status`].
    Status(Box<Status>),
    /// To [`Question::Explain`].
    Explanation(Explanation),
    /// To any: why not.
    Error {
        /// In words.
        error: String,
    },
}

/// A question on its way to the agent's loop, and where its answer goes.
#[derive(Debug)]
pub struct Query {
    /// What is asked.
    pub question: Question,
    /// Takes the answer; dropped without one when the agent stops.
    pub answer: oneshot::Sender<Answer>,
}

/// How long the agent's loop may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Asks the loop.
async fn ask(queries: &mpsc::Sender<Query>, question: Question) -> Result<Answer, String> {
    let (answer, answered) = oneshot::channel();
    let exchange = async {
        queries.send(Query { question, answer }).await.ok()?;
        answered.await.ok()
    };
    match timeout(ANSWER_TIME, exchange).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err("the agent is stopping".to_owned()),
        Err(_) => Err(format!("the agent's loop did not answer within {ANSWER_TIME:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_on_the_wire() {
        let explain = Question::Explain { vip: "web".into(), client: "[fd00::7]:40000".parse().unwrap() };
        for (line, question) in [
            (r#"{"ask":"status"}"#, Some(Question::Status {})),
            (r#"{"ask":"explain","vip":"web","client":"[fd00::7]:40000"}"#, Some(explain)),
            (r#"{"ask":"explain","vip":"web"}"#, None),
            (r#"{"ask":"explain","vip":"web","client":"nowhere"}"#, None),
            (r#"{"ask":"reboot"}"#, None),
            (r#"{"ask":"status","verbose":true}"#, None),
            ("status", None),
        ] {
            assert_eq!(serde_json::from_str(line).ok(), question, "{line}");
            if let Some(question) = question {
                assert_eq!(serde_json::to_string(&question).unwrap(), line);
            }
        }
    }
}
