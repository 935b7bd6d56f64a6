use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Percent;
use crate::control::AdminState;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a server does after it has read something, or at once where nothing is sent to it.
#[derive(Clone, Copy, Debug)]
enum Server {
    Says(&'static str),
    /// The same without end.
    Repeats(&'static str),
    /// Says it and leaves the connection open.
    SaysAndStays(&'static str),
    /// Says its answer byte by byte, one every 20 ms.
    Dribbles(&'static str),
    Silent,
    Refuses,
}

async fn serve(server: Server, asked: bool) -> u16 {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    if matches!(server, Server::Refuses) {
        return port;
    }
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if asked {
            let _ = stream.read(&mut [0; 4096]).await;
        }
        match server {
            Server::Says(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let _ = stream.read(&mut [0; 64]).await;
            }
            Server::Repeats(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Server::SaysAndStays(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            Server::Dribbles(text) => {
                for byte in text.bytes() {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Server::Silent => {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            Server::Refuses => {}
        }
    });
    port
}

fn by(kind: UtilizationKind, timeout: Duration) -> Utilization {
    Utilization { kind, timeout, ..Utilization::DEFAULT }
}

async fn assert_asked(
    row: (&str, Server, Result<Report, (NoReportKind, &str)>),
    asked: bool,
    kind: impl Fn(u16) -> UtilizationKind,
) {
    let (description, server, expected) = row;
    let late = matches!(&expected, Err((NoReportKind::Late, _)));
    let timeout = Duration::from_millis(if late { 150 } else { 20_000 });
    let port = serve(server, asked).await;
    let outcome = ask(LOCALHOST, &by(kind(port), timeout)).await;
    match (outcome, expected) {
        (Ok(report), Ok(expected)) => assert_eq!(report, expected, "{description}"),
        (Err(refusal), Err((kind, words))) => {
            assert_eq!(refusal.kind, kind, "{description}: {}", refusal.detail);
            assert!(refusal.detail.contains(words), "{description}: {}", refusal.detail);
        }
        (outcome, expected) => panic!("{description}: {outcome:?}, expected {expected:?}"),
    }
}

#[tokio::test]
async fn agents() {
    use NoReportKind::{Garbage, Late, Missing, TooLong, Unreachable};
    let half = || Ok(Report { weight: Some(0.5), ..Report::default() });
    let drain = Report { admin: Some(AdminState::Drain), ..Report::default() };
    let rows = [
        ("a line", Server::Says("50%\n"), half()),
        ("a line and silence", Server::SaysAndStays("drain\n"), Ok(drain)),
        ("more after the line", Server::Repeats("50%\r\n"), half()),
        ("byte by byte", Server::Dribbles("50%\n"), half()),
        ("no end of line", Server::Says("50%"), Err((Garbage, "incomplete"))),
        ("nothing", Server::Says(""), Err((Missing, "without an answer"))),
        ("endless", Server::Repeats("x"), Err((TooLong, "4096 bytes"))),
        ("silent", Server::Silent, Err((Late, "connected, but no whole line within 150ms"))),
        ("too slow", Server::Dribbles("up ready 50% maxconn:1000\n"), Err((Late, "within 150ms"))),
        ("refused", Server::Refuses, Err((Unreachable, "connection refused"))),
    ];
    for row in rows {
        let asked = matches!(row.1, Server::Silent);
        assert_asked(row, asked, |port| UtilizationKind::AgentCheck {
            port,
            send: "state?\n".to_owned(),
            percent: Percent::Weight,
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_to_be_sent_is_sent() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = [0; 7];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(b"50%\n").await.unwrap();
        String::from_utf8(said.to_vec()).unwrap()
    });
    let kind = UtilizationKind::AgentCheck { port, send: "web-1?\n".to_owned(), percent: Percent::Idle };
    let report = ask(LOCALHOST, &by(kind, Duration::from_secs(20))).await.unwrap();
    assert_eq!((report.utilization, agent.await.unwrap().as_str()), (Some(0.5), "web-1?\n"));
}

#[tokio::test]
async fn http_servers() {
    use NoReportKind::{AboveOne, Garbage, Late, Missing, TooLong, Unreachable};
    let half = || Ok(Report { utilization: Some(0.5), ..Report::default() });
    let rows = [
        (
            "a header",
            Server::Says("HTTP/1.1 200 OK\r\nendpoint-load-metrics: TEXT cpu_utilization=0.5\r\n\r\nbody"),
            half(),
        ),
        (
            "any status",
            Server::Says("HTTP/1.1 404 Not Found\r\nEndpoint-Load-Metrics: cpu_utilization=0.5\r\n\r\n"),
            half(),
        ),
        (
            "no body after all",
            Server::Says(
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nendpoint-load-metrics: cpu_utilization=0.5\r\n\r\n",
            ),
            half(),
        ),
        (
            "an endless header",
            Server::Repeats("HTTP/1.1 200 OK\r\nendpoint-load-metrics: cpu_utilization=0.5\r\nx: "),
            Err((TooLong, "headers are too large")),
        ),
        (
            "interim answers without end",
            Server::Repeats("HTTP/1.1 100 Continue\r\n\r\n"),
            Err((TooLong, "more than 128 KiB")),
        ),
        (
            "no report",
            Server::Says("HTTP/1.1 204 No Content\r\n\r\n"),
            Err((Missing, "status 204: no endpoint-load")),
        ),
        (
            "a bad report",
            Server::Says("HTTP/1.1 200 OK\r\nendpoint-load-metrics: cpu_utilization=2\r\n\r\n"),
            Err((AboveOne, "cpu_utilization = 2")),
        ),
        ("no HTTP", Server::Says("50%\n"), Err((Garbage, "not HTTP/1"))),
        ("nothing", Server::Says(""), Err((Unreachable, "closed before the answer"))),
        ("silent", Server::Silent, Err((Late, "connected, but no answer within 150ms"))),
        ("too slow", Server::Dribbles("HTTP/1.1 200 OK\r\n\r\n"), Err((Late, "within 150ms"))),
        ("refused", Server::Refuses, Err((Unreachable, "connection refused"))),
    ];
    for row in rows {
        assert_asked(row, true, |port| UtilizationKind::OrcaHttp {
            port,
            path: "/load?x=1".to_owned(),
            host: "web.example".to_owned(),
        })
        .await;
    }
}

#[tokio::test]
async fn an_endless_body_does_not_hold_up_a_report() {
    let head = "HTTP/1.1 200 OK\r\nendpoint-load-metrics: cpu_utilization=0.5\r\n\r\n";
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let kind = UtilizationKind::OrcaHttp { port, path: "/".to_owned(), host: "a".to_owned() };
    let report = ask(LOCALHOST, &by(kind, Duration::from_secs(20))).await.unwrap();
    assert_eq!(report.utilization, Some(0.5));
}

#[tokio::test]
async fn servers_without_grpc() {
    use NoReportKind::{Late, Unreachable};
    let rows = [
        ("HTTP/1", Server::Says("HTTP/1.1 400 Bad Request\r\n\r\n"), Err((Unreachable, ""))),
        ("garbage without end", Server::Repeats("garbage"), Err((Unreachable, ""))),
        ("nothing", Server::Says(""), Err((Unreachable, ""))),
        ("silent", Server::Silent, Err((Late, "connected, but no answer within 150ms"))),
        ("refused", Server::Refuses, Err((Unreachable, "connection refused"))),
    ];
    for row in rows {
        assert_asked(row, true, |port| UtilizationKind::OrcaGrpc { port }).await;
    }
}
