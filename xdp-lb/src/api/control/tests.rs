//! The control socket against real clients.

use super::super::client::{self, AskError};
use super::*;
use crate::control::{Explanation, Status};

fn status() -> Status {
    Status { vips: vec![], interfaces: vec![], reasons: vec![], flows: 3, flow_capacity: 64 }
}

fn explanation() -> Explanation {
    Explanation {
        vip: "web".into(),
        slot: 7,
        hash: u64::MAX,
        current: Some("web-1".into()),
        base: None,
        tracked: false,
        recorded: None,
        choice: None,
        why: "so".into(),
    }
}

/// A socket in a fresh directory that answers by what is asked.
fn start() -> (tempfile::TempDir, PathBuf, ControlSocket) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/deep/control.sock");
    let mut socket = ControlSocket::open(&path).unwrap();
    let (queries, mut received) = mpsc::channel::<Query>(4);
    socket.serve(queries);
    tokio::spawn(async move {
        while let Some(query) = received.recv().await {
            let answer = match query.question {
                Question::Status {} => Answer::Status(Box::new(status())),
                Question::Explain { vip, .. } if vip == "web" => Answer::Explanation(explanation()),
                Question::Explain { vip, .. } => Answer::Error { error: format!("no VIP is called {vip:?}") },
            };
            let _ = query.answer.send(answer);
        }
    });
    (dir, path, socket)
}

async fn raw(path: &Path, question: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(question).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn clients_are_answered() {
    let (_dir, path, _socket) = start();
    tokio::task::spawn_blocking(move || ask_everything(&path)).await.unwrap();
}

fn ask_everything(path: &Path) {
    assert_eq!(client::ask::<Status>(path, &Question::Status {}).unwrap(), status());
    let question = |vip: &str| Question::Explain { vip: vip.into(), client: "10.0.0.1:4".parse().unwrap() };
    assert_eq!(client::ask::<Explanation>(path, &question("web")).unwrap(), explanation());
    let refused = client::ask::<Explanation>(path, &question("nosuch")).unwrap_err();
    assert_eq!(refused.to_string(), r#"no VIP is called "nosuch""#);
}

#[tokio::test]
async fn bad_questions_are_refused_in_words() {
    let (_dir, path, _socket) = start();
    let long = vec![b'x'; LONGEST_QUESTION as usize + 10];
    for (question, words) in [
        (&b"hello\n"[..], "not a question"),
        (b"\n", "not a question"),
        (b"\xff\xfe\n", "not a question"),
        (b"{\"ask\":\"reboot\"}\n", "unknown variant"),
        (&long, "a question is one line of at most 4096 bytes"),
    ] {
        let answer = raw(&path, question).await;
        assert!(answer.starts_with(r#"{"error":""#) && answer.contains(words), "{answer}");
    }
}

#[tokio::test]
async fn one_client_may_ask_twice() {
    let (_dir, path, _socket) = start();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"{\"ask\":\"status\"}\n{\"ask\":\"status\"}\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), first);
}

#[tokio::test]
async fn silent_clients_do_not_shut_others_out_for_ever() {
    let (_dir, path, _socket) = start();
    let mut silent = vec![];
    for _ in 0..MOST_CLIENTS {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    let waiting = raw(&path, b"{\"ask\":\"status\"}\n");
    let mut waiting = std::pin::pin!(waiting);
    assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "no place yet");
    silent.pop();
    let answer = timeout(Duration::from_secs(5), waiting).await.unwrap();
    assert!(answer.contains("flow_capacity"));
}

#[tokio::test]
async fn the_file_is_for_owner_and_group_and_goes_away() {
    let (_dir, path, socket) = start();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_live_agents_socket_is_not_taken() {
    let (_dir, path, _socket) = start();
    let error = ControlSocket::open(&path).unwrap_err();
    assert!(matches!(error, ControlSocketError::Running(_)));
    assert!(error.to_string().starts_with("an agent is running already"));
    assert!(path.exists());
}

#[tokio::test]
async fn a_dead_agents_socket_is_replaced_but_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let dead = client::ask::<Status>(&path, &Question::Status {}).unwrap_err();
    assert!(matches!(dead, AskError::NotRunning { .. }), "{dead}");
    drop(ControlSocket::open(&path).unwrap());
    fs::write(&path, "precious").unwrap();
    assert!(matches!(ControlSocket::open(&path).unwrap_err(), ControlSocketError::NotASocket(_)));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}
