//! gRPC with tonic on both ends: a small service, and its client.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::stream::{Stream, unfold};
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::server::{ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

const SAY: &str = "/xdp_lb.test.Echo/Say";
const COUNT: &str = "/xdp_lb.test.Echo/Count";
const CHAT: &str = "/xdp_lb.test.Echo/Chat";

/// Request headers that come back in the answer's, with `got-` before their names.
const TOLD: [&str; 4] = ["grpc-timeout", "x-forwarded-for", "te", "x-caller-bin"];

/// What is sent either way.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    /// Some text.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// Calls under way, which a service counts.
pub type UnderWay = Arc<AtomicU64>;

/// A call under way.
struct Counted(UnderWay);

impl Counted {
    fn new(calls: &UnderWay) -> Self {
        calls.fetch_add(1, Relaxed);
        Self(Arc::clone(calls))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Serves until dropped: `Say` answers with the text, `fail` with an error, `stall` never; `Count` sends as many messages
/// as the text says, then an error if it ends in `!`, and without end if it is `for ever`; `Chat` sends each message back.
pub async fn serve(listener: TcpListener, calls: UnderWay) {
    while let Ok((stream, _)) = listener.accept().await {
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let method = Method(Arc::clone(&calls));
                async move { Ok::<_, Infallible>(respond(request, method).await) }
            });
            // Clients that go away are their own affair.
            let _ = server::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn respond(request: http::Request<Incoming>, method: Method) -> http::Response<Body> {
    let mut server = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
    match request.uri().path() {
        SAY => server.unary(method, request).await,
        COUNT => server.server_streaming(method, request).await,
        CHAT => server.streaming(method, request).await,
        other => Status::unimplemented(format!("there is no {other}")).into_http(),
    }
}

struct Method(UnderWay);

type Messages = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

impl UnaryService<Text> for Method {
    type Response = Text;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Text>, Status>> + Send>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let counted = Counted::new(&self.0);
        Box::pin(async move {
            let _counted = counted;
            let (metadata, _, message) = request.into_parts();
            match message.text.as_str() {
                "fail" => return Err(Status::failed_precondition("that is all: 100 %")),
                "stall" => std::future::pending().await,
                _ => {}
            }
            let mut response = Response::new(message);
            let (asked, told) = (metadata.into_headers(), response.metadata_mut());
            let mut headers = std::mem::take(told).into_headers();
            for name in TOLD {
                let (Some(value), Ok(name)) =
                    (asked.get(name), http::HeaderName::try_from(format!("got-{name}")))
                else {
                    continue;
                };
                headers.insert(name, value.clone());
            }
            *told = tonic::metadata::MetadataMap::from_headers(headers);
            Ok(response)
        })
    }
}

impl ServerStreamingService<Text> for Method {
    type Response = Text;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let wish = request.into_inner().text;
        let fails = wish.ends_with('!');
        let count: u64 = wish.trim_end_matches('!').parse().unwrap_or(u64::MAX);
        let state = (0, Counted::new(&self.0));
        let messages = unfold(state, move |(sent, counted)| async move {
            if sent > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let message = match sent {
                _ if sent < count => Ok(Text { text: sent.to_string() }),
                _ if sent == count && fails => Err(Status::data_loss("the rest is lost")),
                _ => return None,
            };
            Some((message, (sent + 1, counted)))
        });
        ready(Ok(Response::new(Box::pin(messages))))
    }
}

impl StreamingService<Text> for Method {
    type Response = Text;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let counted = Counted::new(&self.0);
        let messages = request.into_inner().map(move |message| {
            let _held = &counted;
            message
        });
        ready(Ok(Response::new(Box::pin(messages))))
    }
}

/// A connection.
pub struct Client(tonic::client::Grpc<Sender>);

impl Client {
    /// Connects, with TLS to the server of this name if an authority's certificate is given.
    pub async fn connect(address: SocketAddr, tls: Option<(&str, &str)>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some((authority, name)) = tls else {
            return Self::over(stream, &format!("http://{address}/")).await;
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let server = ServerName::try_from(name.to_owned())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
        Self::over(stream, &format!("https://{name}/")).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        origin: &str,
    ) -> Result<Self> {
        let (sender, connection) =
            client::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await?;
        // Its error reaches the calls as well.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(tonic::client::Grpc::with_origin(Sender(sender), origin.parse()?)))
    }

    /// One message for one.
    pub async fn say(&mut self, request: Request<Text>) -> Result<Response<Text>, Status> {
        self.0.unary(request, PathAndQuery::from_static(SAY), ProstCodec::default()).await
    }

    /// Many for one.
    pub async fn count(&mut self, wish: &str) -> Result<Streaming<Text>, Status> {
        let request = Request::new(Text { text: wish.to_owned() });
        let call = self.0.server_streaming(request, PathAndQuery::from_static(COUNT), ProstCodec::default());
        Ok(call.await?.into_inner())
    }

    /// Many for many.
    pub async fn chat(
        &mut self,
        messages: impl Stream<Item = Text> + Send + 'static,
    ) -> Result<Streaming<Text>, Status> {
        let call =
            self.0.streaming(Request::new(messages), PathAndQuery::from_static(CHAT), ProstCodec::default());
        Ok(call.await?.into_inner())
    }
}

/// hyper's sender as tonic wants it.
struct Sender(client::SendRequest<Body>);

impl GrpcService<Body> for Sender {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
