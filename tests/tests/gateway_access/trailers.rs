//! Trailers that name an identity.

use super::tokens::{TOKENS, claims, issuer};
use super::*;

/// One POST over HTTP/2 with these trailers: the answer's status, or nothing where the stream was reset.
fn post_h2(netns: &Netns, path: &str, headers: &[(&str, &str)], trailers: &[(&str, &str)]) -> Option<u16> {
    let map = |pairs: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect::<HeaderMap>()
    };
    let trailers = map(trailers);
    let mut request = Request::post(format!("http://api.test{path}")).body(()).unwrap();
    *request.headers_mut() = map(headers);
    let request = request.map(|()| {
        Full::new(Bytes::from_static(b"body")).with_trailers(std::future::ready(Some(Ok(trailers))))
    });
    netns
        .run_in(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let stream = TokioIo::new(tokio::net::TcpStream::connect(ADDRESS).await?);
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                let answer = tokio::time::timeout(SOON, sender.send_request(request)).await?;
                Ok(answer.ok().map(|answer| answer.status().as_u16()))
            })
        })
        .unwrap()
}

#[test]
fn trailers_say_nothing_of_who_asks() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let one = Signer::new("one").unwrap();
    let keys = Arc::new(Mutex::new(one.jwks()));
    let _login = issuer(&netns, &keys);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(&format!("{COMMON}{TOKENS}")).unwrap();
    let token = format!("Bearer {}", one.sign(&claims()).unwrap());
    until(&netns, "/closed", &[&format!("Authorization: {token}")], 200);
    server.take_asked();
    let headers = [("authorization", &*token), ("te", "trailers"), ("trailer", "x-user, x_user, x-sum")];
    let own = [("x-user", "root"), ("x_user", "root"), ("x-sum", "7")];
    assert_eq!(post_h2(&netns, "/streams", &headers, &own), Some(200));
    let body = "4\r\nbody\r\n0\r\nX-User: root\r\nx_user: root\r\nX-Sum: 7\r\n\r\n";
    for path in ["/streams", "/closed"] {
        let line = format!("POST {path} HTTP/1.1");
        let authorization = format!("Authorization: {token}");
        let head = [
            &*line,
            &*authorization,
            "Transfer-Encoding: chunked",
            "TE: trailers",
            "Trailer: x-user, x_user, x-sum",
        ];
        assert_eq!(ask(&netns, &head, body).status, 200);
    }
    let asked = server.take_asked();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!((asked.header("x-user"), &asked.body[..]), ("ann", &b"body"[..]));
        assert_eq!(asked.trailers.get("x-sum").map(HeaderValue::as_bytes), Some(&b"7"[..]), "{asked:?}");
        assert_eq!(asked.trailers.len(), 1, "{asked:?}");
    }
    // What frames, routes or says who asks is no trailer, in HTTP/2 either.
    for name in ["authorization", "x-forwarded-for", "x_forwarded_for", "host", "content-length"] {
        let told = post_h2(&netns, "/streams", &headers, &[(name, "1")]);
        assert_ne!(told, Some(200), "{name}");
    }
    assert_eq!(server.take_asked().len(), 0);
}
