//! Which requests are tried again, where, and what is told of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::bed::{Bed, OK, Scripted, config, get, head, request};
use crate::config::gateway::{Hedge, PoolConfig, UpstreamTls};
use crate::gateway::upstream::trip::now;
use crate::gateway::upstream::verdict::told;
use crate::gateway::upstream::{Origin, SendOptions, Trail, send, send_for};
use crate::gateway::{Body, Reason};

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn retrying(servers: &[SocketAddr], tries: u8) -> PoolConfig {
    let mut config = config(servers);
    config.retry.tries = tries;
    config.retry.statuses = vec![503];
    config
}

#[tokio::test]
async fn no_server_is_tried_twice() {
    let servers = [Scripted::says(b"").await, Scripted::says(b"").await, Scripted::says(b"").await];
    let bed = Bed::new(&retrying(&servers.clone().map(|server| server.address), 5));
    for round in 1..10 {
        let refusal = bed.send(get()).await.unwrap_err();
        assert_eq!((refusal.reason, bed.tries()), (Reason::UpstreamClosed, 3));
        assert!(servers.iter().all(|server| server.connections() == round));
        assert_eq!(bed.failures(), 3);
    }
    bed.quiet().await;
}

#[tokio::test]
async fn the_budget_limits_retries() {
    let servers = [Scripted::says(b"").await, Scripted::says(b"").await];
    let mut config = retrying(&servers.clone().map(|server| server.address), 2);
    config.retry.least = 1;
    let bed = Bed::new(&config);
    for tries in [2, 1, 1] {
        bed.send(get()).await.unwrap_err();
        assert_eq!(bed.tries(), tries);
    }
    bed.quiet().await;
}

#[tokio::test]
async fn what_a_server_may_have_seen_is_repeated_only_if_that_is_safe() {
    const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    for (what, bad, reason) in [
        ("closes at once", Scripted::new(|_, _| async {}).await, Some(Reason::UpstreamClosed)),
        ("closes after the head", Scripted::says(b"").await, Some(Reason::UpstreamClosed)),
        ("half a head", Scripted::says(b"HTTP/1.1 200 OK\r\nconte").await, Some(Reason::UpstreamClosed)),
        ("garbage", Scripted::says(b"SSH-2.0-x\r\n\r\n").await, Some(Reason::UpstreamGarbage)),
        ("never answers", never().await, Some(Reason::UpstreamSlow)),
        ("trickles", trickles().await, Some(Reason::UpstreamSlow)),
        ("a status", Scripted::says(BUSY).await, None),
    ] {
        let good = Scripted::keeps_saying(OK).await;
        let mut config = retrying(&[bad.address, good.address], 2);
        config.timeouts.per_try = Duration::from_millis(200);
        let bed = Bed::new(&config);
        for _ in 0..4 {
            assert_eq!(bed.text(get()).await.unwrap(), (200, "ok".into()), "{what}");
        }
        bed.failures();
        let alone = Bed::new(&{
            let mut alone = retrying(&[bad.address], 3);
            alone.timeouts.per_try = Duration::from_millis(200);
            alone
        });
        let answer = alone.text(request("POST", Body::empty())).await;
        match reason {
            Some(reason) => assert_eq!(answer.unwrap_err().reason, reason, "{what}"),
            None => assert_eq!(answer.unwrap().0, 503, "{what}"),
        }
        assert_eq!((alone.tries(), alone.failures()), (1, 1), "{what}");
        // An idempotent one has nowhere else to go either: a status is better than a refusal.
        let answer = alone.text(get()).await;
        assert_eq!(answer.ok().map(|answer| answer.0), reason.is_none().then_some(503), "{what}");
        bed.quiet().await;
        alone.quiet().await;
    }
}

async fn never() -> Scripted {
    Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.read_u8().await.ok();
    })
    .await
}

async fn trickles() -> Scripted {
    Scripted::new(|_, mut stream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_is_not_idempotent_is_not_sent_twice_though_there_is_another_server() {
    let servers = [Scripted::says(b"").await, Scripted::says(b"").await];
    let bed = Bed::new(&retrying(&servers.clone().map(|server| server.address), 2));
    let refusal = bed.send(request("POST", Body::full("abc"))).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::UpstreamClosed);
    assert_eq!(servers.iter().map(Scripted::connections).sum::<usize>(), 1);
    bed.quiet().await;
}

#[tokio::test]
async fn what_no_server_has_seen_is_sent_elsewhere_whatever_it_is() {
    let good = Scripted::keeps_saying(OK).await;
    let bed = Bed::new(&retrying(&[nobody().await, nobody().await, good.address], 3));
    for _ in 0..5 {
        assert_eq!(bed.text(request("POST", Body::empty())).await.unwrap().0, 200);
    }
    let down = Bed::new(&retrying(&[nobody().await], 3));
    let refusal = down.send(get()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ConnectFailed);
    let cause = refusal.cause.unwrap();
    assert!(cause.starts_with("server-0: no connection to 127.0.0.1:"), "{cause}");
    assert!(!refusal.detail.contains("127.0.0.1"));
    let empty = Bed::new(&config(&[]));
    assert_eq!(empty.send(get()).await.unwrap_err().reason, Reason::NoServer);
    for bed in [bed, down, empty] {
        bed.quiet().await;
    }
}

#[tokio::test]
async fn a_body_that_is_short_enough_is_sent_again() {
    let echo = || {
        Scripted::new(|_, mut stream| async move {
            let head = head(&mut stream).await.unwrap();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        })
    };
    let greedy = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        let mut some = vec![0; 500];
        stream.read_exact(&mut some).await.ok();
    })
    .await;
    let bed = Bed::new(&retrying(&[greedy.address, echo().await.address], 2));
    for _ in 0..4 {
        let (status, body) = bed.text(request("PUT", Body::full("x".repeat(1024)))).await.unwrap();
        assert_eq!((status, body.len()), (200, 1024));
    }
    let two = Bed::new(&retrying(&[greedy.address, greedy.address], 2));
    let refusal = two.send(request("PUT", Body::full("x".repeat(1025)))).await.unwrap_err();
    assert_eq!((refusal.reason, two.tries()), (Reason::UpstreamClosed, 1));
    bed.quiet().await;
    two.quiet().await;
}

#[tokio::test]
async fn a_slow_server_is_overtaken() {
    // Whichever is asked first never answers.
    let asked = Arc::new(AtomicUsize::new(0));
    let server = || {
        let asked = Arc::clone(&asked);
        Scripted::new(move |_, mut stream| {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                head(&mut stream).await;
                if is_first {
                    stream.read_u8().await.ok();
                } else {
                    stream.write_all(OK).await.unwrap();
                }
            }
        })
    };
    let servers = [server().await, server().await];
    let mut config = config(&servers.clone().map(|server| server.address));
    config.hedge = Some(Hedge { after: Duration::from_millis(30) });
    let bed = Bed::new(&config);
    assert_eq!(bed.text(get()).await.unwrap(), (200, "ok".into()));
    assert_eq!(bed.tries(), 2);
    assert!(servers.iter().all(|server| server.connections() == 1));
    assert_eq!(bed.failures(), 0, "who was overtaken has not failed");
    bed.quiet().await;
}

#[tokio::test]
async fn both_slow_servers_are_asked_and_the_whole_time_is_kept() {
    let mut config = config(&[never().await.address, never().await.address]);
    config.hedge = Some(Hedge { after: Duration::from_millis(30) });
    config.timeouts.request = Duration::from_millis(200);
    config.retry.tries = 2;
    let bed = Bed::new(&config);
    let began = tokio::time::Instant::now();
    assert_eq!(bed.send(get()).await.unwrap_err().reason, Reason::UpstreamSlow);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(bed.tries(), 2);
    bed.quiet().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_no_connection() {
    let mut config = config(&[never().await.address]);
    config.tls = Some(UpstreamTls { server_name: None, verify: false, ca: None, certificate: None });
    config.timeouts.connect = Duration::from_millis(100);
    let bed = Bed::new(&config);
    assert_eq!(bed.send(get()).await.unwrap_err().reason, Reason::ConnectFailed);
    bed.quiet().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_it() {
    let (gone, mut is_gone) = tokio::sync::mpsc::channel(1);
    let server = Scripted::new(move |_, mut stream| {
        let gone = gone.clone();
        async move {
            head(&mut stream).await;
            gone.send(false).await.unwrap();
            assert!(stream.read_u8().await.is_err());
            gone.send(true).await.unwrap();
        }
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    tokio::select! {
        _ = bed.send(get()) => panic!("answered by whom?"),
        asked = is_gone.recv() => assert_eq!(asked, Some(false)),
    }
    assert_eq!(is_gone.recv().await, Some(true));
    bed.quiet().await;
    assert!(told().is_empty());
}

#[tokio::test]
async fn a_clients_broken_body_is_not_the_servers_fault() {
    let server = never().await;
    let bed = Bed::new(&config(&[server.address]));
    let refusal = bed.send(request("POST", Body::full("abcdef").limited(3))).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.closes), (Reason::BodyTooLarge, true));
    assert!(told().is_empty());
    bed.quiet().await;
}

#[tokio::test]
async fn who_waits_in_line_waits_no_longer_than_the_whole_time() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").await.unwrap();
        stream.read_u8().await.ok();
    })
    .await;
    let mut config = config(&[server.address]);
    (config.breaker.max_in_flight, config.breaker.max_pending) = (1, 5);
    config.breaker.pending_timeout = Duration::from_secs(30);
    config.timeouts.request = Duration::from_millis(200);
    let bed = Bed::new(&config);
    let first = bed.send(get()).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(bed.send(get()).await.unwrap_err().reason, Reason::UpstreamSlow);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((bed.tries(), server.connections(), bed.pool.status(now()).pending), (0, 1, 0));
    drop(first);
    bed.quiet().await;
    assert_eq!(bed.failures(), 0);
}

#[tokio::test]
async fn a_server_is_not_blamed_for_time_that_others_used_up() {
    let server = never().await;
    let mut config = config(&[server.address]);
    config.timeouts.request = Duration::from_secs(10);
    config.timeouts.per_try = Duration::from_secs(2);
    let bed = Bed::new(&config);
    for (used, asked) in [(Duration::from_millis(9700), 1), (Duration::from_secs(11), 0)] {
        let started = now() - used;
        let origin = Origin { ends: None, started, wall: SystemTime::UNIX_EPOCH };
        let mut trail = Trail::default();
        let sent = send_for(&bed.pool, &bed.worker, origin, &mut trail, get(), SendOptions::default());
        assert_eq!(sent.await.unwrap_err().reason, Reason::UpstreamSlow);
        assert_eq!((trail.tries, bed.failures()), (asked, 0));
    }
    assert_eq!(server.connections(), 1);
    bed.quiet().await;
}

#[tokio::test]
async fn a_server_that_gives_up_later_had_the_request() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    assert_eq!(bed.text(get()).await.unwrap().0, 200);
    assert_eq!(bed.send(get()).await.unwrap_err().reason, Reason::UpstreamClosed);
    assert_eq!((server.connections(), bed.failures()), (1, 1), "it was asked twice");
    bed.quiet().await;
}

#[tokio::test]
async fn it_is_known_where_a_request_was_when_its_client_went_away() {
    let (asked, mut is_asked) = tokio::sync::mpsc::channel(1);
    let server = Scripted::new(move |_, mut stream| {
        let asked = asked.clone();
        async move {
            head(&mut stream).await;
            asked.send(()).await.unwrap();
            stream.read_u8().await.ok();
        }
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    let mut exchange = crate::gateway::exchange::tests::exchange();
    exchange.started = now();
    tokio::select! {
        _ = send(&bed.pool, &bed.worker, &mut exchange, get(), SendOptions::default()) => panic!("by whom?"),
        _ = is_asked.recv() => {}
    }
    assert_eq!((exchange.server.as_deref(), exchange.tries), (Some("server-0"), 1));
    bed.quiet().await;
}
