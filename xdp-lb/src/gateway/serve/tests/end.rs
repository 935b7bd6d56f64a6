//! How connections end: limits of time, lingering, draining, handing over, reloading.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::*;
use crate::gateway::serve::{ServeError, handover};

#[tokio::test]
async fn a_refused_body_is_answered_and_the_connection_closed_without_a_reset() {
    let (server, address) = start(&listener("web"), &gateway());
    for _ in 0..20 {
        let mut stream = connect(address).await;
        let head = "POST /too-large HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // What is on its way when the answer comes must not take that away.
        stream.write_all(&vec![b'x'; 100_000]).await.unwrap();
        let (head, body) = answer(&mut stream).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 413") && head.contains("connection: close"), "{head}");
        assert!(body.contains("body_too_large"), "{body}");
        assert!(closes(&mut stream).await);
    }
    until("all have ended", || server.connections().open == 0).await;
    assert_eq!(server.connections().accepted, 20);
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_first_sends_all() {
    let (_server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    let head = "POST /too-large HTTP/1.1\r\nhost: a\r\ncontent-length: 40000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(DEADLINE, stream.write_all(&vec![b'x'; 40_000_000])).await.unwrap().unwrap();
    let (head, _) = answer(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert!(closes(&mut stream).await);
}

#[tokio::test]
async fn a_small_body_that_nobody_reads_costs_no_connection() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    for _ in 0..3 {
        let head = "POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 6000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (head, body) = answer(&mut stream).await.unwrap();
        assert!(!head.contains("connection: close"), "{head}");
        assert_eq!(body, "unread");
        stream.write_all(&[b'x'; 6000]).await.unwrap();
    }
    assert_eq!(get(&mut stream, "/").await.1, "hello");
    assert_eq!(server.connections().accepted, 1);

    let head = "POST /unread HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 6000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn who_is_answered_before_the_body_has_come_is_told_that_the_connection_ends() {
    let (_server, address) = start(&listener("web"), &gateway());
    for (framing, ends) in [
        ("content-length: 60", false),
        ("content-length: 60\r\nexpect: 100-continue", true),
        ("content-length: 600000", true),
        ("transfer-encoding: chunked", true),
    ] {
        let mut stream = connect(address).await;
        let head = format!("POST /early HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (head, _) = answer(&mut stream).await.unwrap();
        assert_eq!(head.contains("connection: close"), ends, "{framing}: {head}");
        if ends {
            assert!(closes(&mut stream).await, "{framing}");
        }
    }
}

#[tokio::test]
async fn slow_bodies_are_told_so() {
    let mut gateway = gateway();
    gateway.limits.body_timeout = Duration::from_millis(150);
    let (_server, address) = start(&listener("web"), &gateway);
    let mut stream = connect(address).await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Each byte is in time: that the whole takes longer does not matter.
    for _ in 0..4 {
        stream.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    let (head, body) = answer(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 408") && body.contains("slow_body"), "{head}{body}");
    assert!(closes(&mut stream).await);
}

#[tokio::test]
async fn bodies_that_trickle_are_told_so() {
    let mut gateway = gateway();
    gateway.limits.body_rate = 1000;
    let (_server, address) = start(&listener("web"), &gateway);
    let (mut read, mut write) = connect(address).await.into_split();
    let begun = Instant::now();
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
    write.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while write.write_all(&[b'x'; 10]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let (head, body) = answer(&mut read).await.unwrap();
    trickle.abort();
    assert!(head.starts_with("HTTP/1.1 408") && body.contains("slow_body"), "{head}{body}");
    assert!(begun.elapsed() >= Duration::from_secs(5), "the rate counts from the fifth second on");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let mut gateway = gateway();
    gateway.limits.send_timeout = Duration::from_millis(200);
    let (server, address) = start(&listener("web"), &gateway);
    let mut stream = connect(address).await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("it is cut", || server.connections().stalled == 1).await;
    until("its slot is free", || server.connections().open == 0).await;
}

#[tokio::test]
async fn silent_connections_end() {
    let mut gateway = gateway();
    gateway.limits.header_timeout = Duration::from_millis(300);
    gateway.limits.idle_timeout = Duration::from_millis(100);
    let (server, address) = start(&listener("web"), &gateway);
    let mut silent = connect(address).await;
    let mut idle = connect(address).await;
    get(&mut idle, "/").await;
    assert!(closes(&mut silent).await && closes(&mut idle).await);
    until("both have ended", || server.connections().open == 0).await;
}

#[tokio::test]
async fn empty_lines_keep_no_connection() {
    let mut gateway = hasty();
    gateway.limits.idle_timeout = Duration::from_millis(300);
    let (server, address) = start(&listener("web"), &gateway);
    let mut stream = connect(address).await;
    get(&mut stream, "/").await;
    let begun = Instant::now();
    while server.connections().open > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is kept");
        let _ = stream.write_all(b"\r\n").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn requests_and_connections_are_counted() {
    let mut gateway = gateway();
    gateway.limits.requests_per_connection = 2;
    gateway.limits.connections = 1;
    let (server, address) = start(&listener("web"), &gateway);
    let mut first = connect(address).await;
    assert!(!get(&mut first, "/").await.0.contains("connection: close"));
    let mut second = connect(address).await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(100), second.read_u8()).await.is_err(), "it waits for its turn");
    assert!(get(&mut first, "/").await.0.contains("connection: close"));
    assert!(closes(&mut first).await);
    drop(first);
    assert_eq!(answer(&mut second).await.unwrap().1, "hello");
    assert_eq!(server.connections().open, 1);
}

#[tokio::test]
async fn draining_ends_what_is_under_way_first() {
    let (server, address) = start(&listener("web"), &hasty());
    let mut parked = connect(address).await;
    get(&mut parked, "/").await;
    until("it is parked", || server.connections().parked == 1).await;
    let mut busy = connect(address).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("it is there", || server.connections().open == 2).await;
    let draining = tokio::spawn({
        let server = server.clone();
        async move { server.drain(DEADLINE).await }
    });
    assert!(closes(&mut parked).await);
    let (head, body) = answer(&mut busy).await.unwrap();
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(body, "slow");
    assert!(closes(&mut busy).await);
    timeout(DEADLINE, draining).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    let again = server.reload(&[listener("web")], &gateway());
    assert!(matches!(again, Err(ServeError::Ending)));
}

#[tokio::test]
async fn draining_cuts_what_does_not_end() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("it is there", || server.connections().open == 1).await;
    timeout(DEADLINE, server.drain(Duration::from_millis(100))).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

/// Asks again and again, on connections that are kept while they may be. Counts requests; each has to be answered.
fn load(address: SocketAddr, stop: &Arc<AtomicBool>, count: &Arc<AtomicU32>) -> tokio::task::JoinHandle<()> {
    let (stop, count) = (stop.clone(), count.clone());
    tokio::spawn(async move {
        let mut stream = None;
        while !stop.load(Relaxed) {
            let mut open = match stream.take() {
                Some(open) => open,
                None => connect(address).await,
            };
            let (head, body) = get(&mut open, "/").await;
            assert_eq!(body, "hello");
            count.fetch_add(1, Relaxed);
            if !head.contains("connection: close") {
                stream = Some(open);
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handing_over_fails_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("handover.sock");
    assert!(handover::take(&path).unwrap().is_none(), "nobody is there");

    let mut listener = listener("web");
    let (first, address) = start(&listener, &gateway());
    listener.address = address;
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..8).map(|_| load(address, &stop, &count)).collect();
    let offer = handover::offer(&path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let predecessor = tokio::spawn({
        let first = first.clone();
        async move {
            offer.successor(&first).await;
            first.drain(DEADLINE).await;
        }
    });

    // One that dies before it serves changes nothing.
    let taken = path.clone();
    let (sockets, ready) =
        tokio::task::spawn_blocking(move || handover::take(&taken)).await.unwrap().unwrap().unwrap();
    assert!(!sockets.is_empty());
    drop((sockets, ready));
    let before = count.load(Relaxed);
    until("it goes on", || count.load(Relaxed) > before + 100).await;
    assert!(!predecessor.is_finished());

    let taken = path.clone();
    let (sockets, ready) =
        tokio::task::spawn_blocking(move || handover::take(&taken)).await.unwrap().unwrap().unwrap();
    // One thread more, and one less, than there are sockets.
    let gateway = Gateway { threads: 3, ..gateway() };
    let (second, same) = start_with(&listener, &gateway, sockets);
    assert_eq!(same, address);
    tokio::task::spawn_blocking(move || ready.announce()).await.unwrap().unwrap();
    timeout(DEADLINE, predecessor).await.unwrap().unwrap();
    assert_eq!(first.connections().open, 0);
    let before = count.load(Relaxed);
    until("the successor serves", || count.load(Relaxed) > before + 100).await;
    stop.store(true, Relaxed);
    for client in clients {
        client.await.expect("no request fails");
    }
    assert!(second.connections().accepted >= 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloading_adds_and_removes_listeners_and_keeps_the_others() {
    let (server, address) = start(&listener("web"), &gateway());
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let client = load(address, &stop, &count);
    let mut kept = connect(address).await;
    get(&mut kept, "/").await;

    let other = Listener { address: "[::1]:0".parse().unwrap(), ..listener("other") };
    let renamed = Listener { name: "renamed".to_owned(), ..listener("web") };
    server.reload(&[renamed.clone(), other.clone()], &gateway()).unwrap();
    let addresses = server.addresses();
    assert_eq!((&*addresses[0].0, addresses[0].1), ("renamed", address));
    let mut beside = connect(addresses[1].1).await;
    assert!(get(&mut beside, "/peer").await.1.starts_with("other "));
    let mut anew = connect(address).await;
    assert!(get(&mut anew, "/peer").await.1.starts_with("renamed "));

    // What cannot be had changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = Listener { address: taken.local_addr().unwrap(), ..listener("bad") };
    let error = server.reload(&[renamed.clone(), bad], &gateway()).unwrap_err();
    assert!(error.to_string().contains("bad"), "{error}");
    assert_eq!(server.addresses(), addresses);

    server.reload(&[renamed], &gateway()).unwrap();
    assert_eq!(server.addresses().len(), 1);
    let gone = addresses[1].1;
    let begun = Instant::now();
    while TcpStream::connect(gone).await.is_ok() {
        assert!(begun.elapsed() < DEADLINE, "the removed one does not close");
    }
    assert_eq!(get(&mut beside, "/").await.1, "hello", "its connections go on");
    assert_eq!(get(&mut kept, "/").await.1, "hello");
    stop.store(true, Relaxed);
    client.await.expect("no request fails");
}
