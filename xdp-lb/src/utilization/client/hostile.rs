//! Servers of HTTP/2 that mean harm, frame by frame (RFC 9113).

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header that is not indexed (RFC 7541, 6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend(name.as_bytes());
    field.push(value.len() as u8);
    field.extend(value.as_bytes());
    field
}

/// Status 200 and what makes an answer one of gRPC.
fn begun(more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![0x88];
    fields.extend(header("content-type", "application/grpc"));
    more.iter().for_each(|(name, value)| fields.extend(header(name, value)));
    frame(HEADERS, END_HEADERS, 1, &fields)
}

/// A message of gRPC.
fn message(compressed: bool, claimed: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![u8::from(compressed)];
    message.extend(claimed.to_be_bytes());
    message.extend(bytes);
    frame(DATA, 0, 1, &message)
}

/// Says `first` to who asks, then `again` without end.
async fn serve(first: Vec<u8>, again: Vec<u8>) -> u16 {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let _ = from.read(&mut [0; 4096]).await;
        let hello = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat();
        let _ = to.write_all(&[hello, first].concat()).await;
        tokio::spawn(async move { while from.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} });
        let again = again.repeat(1 + 16_384 / again.len().max(1));
        while !again.is_empty() && to.write_all(&again).await.is_ok() {}
        std::future::pending::<()>().await;
    });
    port
}

/// What is said once, what is said without end, and what comes of it.
type Row = (&'static str, Vec<u8>, Vec<u8>, NoReportKind, &'static str);

#[tokio::test]
async fn whatever_comes_over_http2_is_no_report_within_bounds() {
    use NoReportKind::{Garbage, Late, Missing, TooLong, Unreachable};
    let redirect = [vec![0x48, 3], b"301".to_vec(), header("location", "http://127.0.0.1/")].concat();
    let page = [vec![0x88], header("content-type", "text/html")].concat();
    let early = [vec![0x48, 3], b"103".to_vec()].concat();
    let fields = header("x", &"y".repeat(100)).repeat(150);
    let rows: Vec<Row> = vec![
        (
            "a compressed message, and with what",
            [begun(&[("grpc-encoding", "gzip")]), message(true, 4, b"abcd")].concat(),
            vec![],
            Garbage,
            "compressed with `gzip`",
        ),
        (
            "a compressed message",
            [begun(&[]), message(true, 4, b"abcd")].concat(),
            vec![],
            Garbage,
            "compressed-flag",
        ),
        (
            "a huge message",
            [begun(&[]), message(false, u32::MAX, b"")].concat(),
            vec![],
            TooLong,
            "4294967295",
        ),
        ("garbage", [begun(&[]), message(false, 4, &[255; 4])].concat(), vec![], Garbage, "invalid varint"),
        ("empty messages", begun(&[]), message(false, 0, b""), Missing, "without a single metric"),
        (
            "a page",
            [frame(HEADERS, END_HEADERS, 1, &page), frame(DATA, 1, 1, b"<html>")].concat(),
            vec![],
            Garbage,
            "",
        ),
        ("a redirect", frame(HEADERS, END_HEADERS, 1, &redirect), vec![], Late, "no report"),
        (
            "large headers",
            frame(HEADERS, END_HEADERS, 1, &[vec![0x88], fields].concat()),
            vec![],
            Unreachable,
            "protocol error",
        ),
        (
            "headers without end",
            frame(HEADERS, 0, 1, &[0x88]),
            frame(CONTINUATION, 0, 1, &header("x", "y")),
            Unreachable,
            "too_many_continuations",
        ),
        ("a reset", frame(RST_STREAM, 0, 1, &[0, 0, 0, 11]), vec![], Unreachable, "excessive load"),
        (
            "a farewell",
            frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]),
            vec![],
            Unreachable,
            "excessive load",
        ),
        ("empty data", begun(&[]), frame(DATA, 0, 1, b""), Unreachable, "too_many_data_frames"),
        ("pings", begun(&[]), frame(PING, 0, 0, &[7; 8]), TooLong, "128 KiB"),
        ("settings", begun(&[]), frame(SETTINGS, 0, 0, &[]), TooLong, "128 KiB"),
        ("unknown frames", begun(&[]), frame(77, 0, 0, &[]), TooLong, "128 KiB"),
        ("early hints", vec![], frame(HEADERS, END_HEADERS, 1, &early), TooLong, "128 KiB"),
    ];
    for (description, first, again, kind, words) in rows {
        let port = serve(first, again).await;
        let late = kind == Late;
        let utilization = Utilization {
            kind: UtilizationKind::OrcaGrpc { port },
            interval: Duration::from_secs(60),
            timeout: Duration::from_millis(if late { 150 } else { 20_000 }),
            ..Utilization::DEFAULT
        };
        let refusal = ask(LOCALHOST, &utilization).await.unwrap_err();
        assert_eq!(refusal.kind, kind, "{description}: {}", refusal.detail);
        assert!(refusal.detail.contains(words), "{description}: {}", refusal.detail);
    }
}
