use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::{Stream, pending, unfold};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::*;
use crate::config::Percent;
use crate::utilization::orca::message::{OrcaLoadReport, OrcaLoadReportRequest};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn backend(id: u16) -> BackendId {
    BackendId::new(id).unwrap()
}

async fn next(events: &mut mpsc::Receiver<Event>) -> (BackendId, Result<Report, NoReport>) {
    match timeout(PATIENCE, events.recv()).await.expect("no event comes") {
        Some(Event::Reported { backend, address, report }) if address == LOCALHOST => (backend, report),
        other => panic!("{other:?}"),
    }
}

fn agent_check(port: u16, interval: Duration) -> Utilization {
    let kind = UtilizationKind::AgentCheck { port, send: String::new(), percent: Percent::Idle };
    Utilization { kind, interval, timeout: PATIENCE, ..Utilization::DEFAULT }
}

#[tokio::test]
async fn a_backend_is_asked_until_it_is_not() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for line in ["25%\n", "NaN%\n", "75%\n"].iter().cycle() {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(line.as_bytes()).await.unwrap();
        }
    });
    let (sender, mut events) = mpsc::channel(1);
    let mut reports = Reports::new(sender, 8);
    reports.watch(backend(1), LOCALHOST, Utilization::DEFAULT);
    reports.watch(backend(7), LOCALHOST, agent_check(port, Duration::from_millis(10)));
    for expected in [Ok(0.75), Err(NoReportKind::NotANumber), Ok(0.25), Ok(0.75)] {
        let (who, report) = next(&mut events).await;
        let used = report.map(|report| report.utilization.unwrap()).map_err(|refusal| refusal.kind);
        assert_eq!((who, used), (backend(7), expected));
    }
    reports.unwatch(backend(7));
    reports.unwatch(backend(8));
    drop(reports);
    // Tasks that have ended hold no sender; one event at most was on its way.
    let rest = timeout(PATIENCE, async { while events.recv().await.is_some() {} }).await;
    assert!(rest.is_ok(), "a task goes on");
}

#[tokio::test]
async fn a_new_way_of_asking_replaces_the_old() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"25%\n").await.unwrap();
        }
    });
    let (sender, mut events) = mpsc::channel(1);
    let mut reports = Reports::new(sender, 8);
    let refused = TcpListener::bind((LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    reports.watch(backend(1), LOCALHOST, agent_check(refused, Duration::from_millis(1)));
    assert_eq!(next(&mut events).await.1.unwrap_err().kind, NoReportKind::Unreachable);
    reports.watch(backend(1), LOCALHOST, agent_check(port, Duration::from_millis(1)));
    while next(&mut events).await.1.is_err() {}
    for _ in 0..20 {
        assert!(next(&mut events).await.1.is_ok());
    }
}

#[tokio::test]
async fn many_backends_are_spread_over_time_and_sockets() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    tokio::spawn({
        let most = Arc::clone(&most);
        async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    sleep(Duration::from_millis(5)).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                    stream.write_all(b"25%\n").await.unwrap();
                    let _ = stream.read(&mut [0; 8]).await;
                });
            }
        }
    });
    let (sender, mut events) = mpsc::channel(1024);
    let mut reports = Reports::new(sender, 16);
    let began = Instant::now();
    for id in 1..=300 {
        reports.watch(backend(id), LOCALHOST, agent_check(port, Duration::from_secs(2)));
    }
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 300 {
        let (who, report) = next(&mut events).await;
        report.unwrap();
        seen.entry(who).or_insert_with(|| began.elapsed());
    }
    assert!(most.load(Ordering::SeqCst) <= 8, "{most:?} sockets at once");
    let early = seen.values().filter(|after| **after < Duration::from_secs(1)).count();
    assert!((75..225).contains(&early), "{early} of 300 in the first half of the interval");
}

/// What a gRPC server does on one connection: waits, sends, and ends or falls silent.
#[derive(Clone)]
struct Script {
    steps: Vec<(Duration, Result<OrcaLoadReport, Status>)>,
    ends: bool,
}

impl ServerStreamingService<OrcaLoadReportRequest> for Script {
    type Response = OrcaLoadReport;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<OrcaLoadReport, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<OrcaLoadReportRequest>) -> Self::Future {
        assert_eq!(request.get_ref().report_interval.unwrap().nanos, 50_000_000);
        let steps = unfold(self.steps.clone().into_iter(), |mut steps| async move {
            let (pause, item) = steps.next()?;
            sleep(pause).await;
            Some((item, steps))
        });
        let stream: Self::ResponseStream =
            if self.ends { Box::pin(steps) } else { Box::pin(steps.chain(pending())) };
        ready(Ok(Response::new(stream)))
    }
}

/// Serves one script after the other, a connection each.
async fn serve(scripts: Vec<Script>) -> u16 {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            let script = Arc::new(Mutex::new(script));
            let service = service_fn(move |request| {
                let script = script.lock().unwrap().clone();
                async move {
                    let mut server =
                        Grpc::new(ProstCodec::<OrcaLoadReport, OrcaLoadReportRequest>::default());
                    Ok::<_, Infallible>(server.server_streaming(script, request).await)
                }
            });
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

fn used(cpu_utilization: f64) -> (Duration, Result<OrcaLoadReport, Status>) {
    (Duration::from_millis(40), Ok(OrcaLoadReport { cpu_utilization, ..OrcaLoadReport::default() }))
}

#[tokio::test]
async fn streams_are_followed_and_taken_up_again() {
    use NoReportKind::{AboveOne, Infinite, Late, NotANumber, TooLong, Unreachable};
    let long = OrcaLoadReport {
        named_metrics: (0..500).map(|number| (format!("metric {number}"), 1.0)).collect(),
        ..OrcaLoadReport::default()
    };
    let flood = vec![(Duration::ZERO, used(0.5).1); 100];
    let port = serve(vec![
        Script {
            steps: vec![used(0.25), used(f64::NAN), used(f64::INFINITY), used(1.5), used(0.5)],
            ends: true,
        },
        Script { steps: vec![used(0.75), (Duration::ZERO, Ok(long))], ends: false },
        Script { steps: flood, ends: false },
        Script { steps: vec![(Duration::ZERO, Err(Status::unavailable("going away")))], ends: false },
        Script { steps: vec![used(0.125)], ends: false },
    ])
    .await;
    let (sender, mut events) = mpsc::channel(64);
    let mut reports = Reports::new(sender, 8);
    let interval = Duration::from_millis(50);
    let kind = UtilizationKind::OrcaGrpc { port };
    let timeout = Duration::from_secs(2);
    reports.watch(backend(3), LOCALHOST, Utilization { kind, interval, timeout, ..Utilization::DEFAULT });
    let expected = [
        Ok(0.25),
        Err((NotANumber, "cpu_utilization is NaN")),
        Err((Infinite, "cpu_utilization = inf")),
        Err((AboveOne, "cpu_utilization = 1.5")),
        Ok(0.5),
        Err((Unreachable, "the server ended the stream")),
        Ok(0.75),
        Err((TooLong, "")),
        Ok(0.5),
        Err((TooLong, "more than 16 reports within 50ms")),
        Err((Unreachable, "going away")),
        Ok(0.125),
        Err((Late, "no report within 2s")),
        Err((Late, "no report within 2s")),
    ];
    for expected in expected {
        let (_, report) = next(&mut events).await;
        match (report, expected) {
            (Ok(report), Ok(used)) => assert_eq!(report.utilization, Some(used)),
            (Err(refusal), Err((kind, words))) => {
                assert!(refusal.kind == kind && refusal.detail.contains(words), "{refusal:?}, not {kind:?}");
            }
            (report, expected) => panic!("{report:?}, expected {expected:?}"),
        }
    }
}

#[tokio::test]
async fn more_streams_than_files_are_refused_by_name() {
    let port = serve(vec![Script { steps: vec![used(0.5)], ends: false }]).await;
    let (sender, mut events) = mpsc::channel(64);
    let mut reports = Reports::new(sender, 2);
    let kind = UtilizationKind::OrcaGrpc { port };
    let stream =
        Utilization { kind, interval: Duration::from_millis(50), timeout: PATIENCE, ..Utilization::DEFAULT };
    reports.watch(backend(1), LOCALHOST, stream.clone());
    assert!(next(&mut events).await.1.is_ok());
    reports.watch(backend(2), LOCALHOST, stream);
    let (who, report) = next(&mut events).await;
    let refusal = report.unwrap_err();
    assert_eq!((who, refusal.kind), (backend(2), NoReportKind::Unreachable));
    assert!(refusal.detail.contains("limit of open files"), "{}", refusal.detail);
}
