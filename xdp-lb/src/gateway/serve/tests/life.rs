//! What a connection tells while it lives.

use super::*;

#[tokio::test]
async fn http2_by_prior_knowledge_also_if_its_preface_comes_in_pieces() {
    let (_server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    for piece in ["PR", "I * HTTP/2.0\r\n", "\r\nSM\r\n\r", "\n", "\0\0\0\u{4}\0\0\0\0\0"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut frame = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "SETTINGS come first");

    let mut stream = connect(address).await;
    stream.write_all(b"P").await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    stream.write_all(b"OST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\na").await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().1, "a");
}

#[tokio::test]
async fn where_http2_is_off_its_preface_is_not_served() {
    let listener = Listener { http2: false, ..listener("web") };
    let (_server, address) = start(&listener, &gateway());
    let mut stream = connect(address).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1."), "{rest:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_slot() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut stream = connect(address).await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("it is there", || server.connections().open == 1).await;
    drop(stream);
    until("it is gone", || server.connections().open == 0).await;
}
