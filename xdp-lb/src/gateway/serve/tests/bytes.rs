//! What bytes make of a connection: PROXY headers, pipelines, parking, upgrades.

use super::*;

#[tokio::test]
async fn keep_alive_and_pipelines() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    for _ in 0..3 {
        let (head, body) = get(&mut stream, "/").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, "hello");
    }
    let request = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n";
    stream.write_all(format!("{request}a{request}b{request}c").as_bytes()).await.unwrap();
    for body in ["a", "b", "c"] {
        assert_eq!(answer(&mut stream).await.unwrap().1, body);
    }
    assert_eq!(server.connections().accepted, 1);
    drop(stream);
    until("the connection ends", || server.connections().open == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_is_lost_around_parking() {
    let (server, address) = start(&listener("web"), &hasty());
    let mut clients = Vec::new();
    for seed in 0..16 {
        clients.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut stream = connect(address).await;
            for round in 0..60 {
                let body = "x".repeat(random.usize(1..50));
                let length = body.len();
                let one = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
                let count = random.usize(1..4);
                let all = one.repeat(count);
                let (first, second) = all.as_bytes().split_at(random.usize(0..all.len()));
                for piece in [first, second] {
                    // About as long as it takes to be parked.
                    tokio::time::sleep(Duration::from_micros(random.u64(0..30_000))).await;
                    stream.write_all(piece).await.unwrap();
                }
                for _ in 0..count {
                    let answer = answer(&mut stream).await;
                    assert_eq!(answer.expect("no end").1, body, "seed {seed}, round {round}");
                }
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let mut stream = connect(address).await;
    get(&mut stream, "/").await;
    until("it is parked", || server.connections().parked == 1).await;
    assert_eq!(get(&mut stream, "/").await.1, "hello");
    assert_eq!(server.connections().accepted, 17);
}

#[tokio::test]
async fn proxy_headers_tell_who_it_is() {
    let listener = Listener { proxy_protocol: true, ..listener("proxied") };
    let (server, address) = start(&listener, &gateway());
    let mut stream = connect(address).await;
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\x30\x39\x01\xbb";
    stream.write_all(header).await.unwrap();
    let (_, body) = get(&mut stream, "/peer").await;
    assert_eq!(body, "proxied 192.0.2.1:12345 198.51.100.7:443 plain");

    let mut stream = connect(address).await;
    stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.unwrap();
    let (_, body) = get(&mut stream, "/peer").await;
    assert_eq!(body, format!("proxied {} {address} plain", stream.local_addr().unwrap()));

    let mut stream = connect(address).await;
    stream.write_all(b"GET /").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(server.connections().proxy_errors, 1);
}

#[tokio::test]
async fn an_upgrade_is_the_handlers() {
    let (server, address) = start(&listener("web"), &hasty());
    let mut stream = connect(address).await;
    let request = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut stream).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    for text in ["GET / HTTP/1.1\r\n\r\n", "\0\r\n", "bytes"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut echo = vec![0; text.len()];
        timeout(DEADLINE, stream.read_exact(&mut echo)).await.unwrap().unwrap();
        assert_eq!(echo, text.as_bytes());
    }
    assert_eq!(server.connections().open, 1);
    stream.shutdown().await.unwrap();
    assert!(closes(&mut stream).await);
    until("its slot is free", || server.connections().open == 0).await;
}
