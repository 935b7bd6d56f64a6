use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::config::{Percent, Utilization, UtilizationKind};
use crate::control::{AdminState, NoReport, Report};
use crate::utilization::client::{Limit, ask, orca_grpc};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn everything() -> Settings {
    let anywhere = Some(SocketAddr::new(LOCALHOST, 0));
    Settings {
        agent_check: anywhere,
        orca_http: anywhere,
        orca_grpc: anywhere,
        by: By::Cpu,
        cgroup: None,
        server: Server::Host,
        state_file: None,
    }
}

/// Ports of agent-check, HTTP and gRPC.
async fn start(settings: Settings) -> [u16; 3] {
    let reporter = Reporter::open(settings).await.unwrap();
    let ports: Vec<u16> = reporter.addresses().iter().map(|(_, address)| address.port()).collect();
    tokio::spawn(reporter.run());
    ports.try_into().unwrap()
}

fn agent_check(port: u16) -> UtilizationKind {
    UtilizationKind::AgentCheck { port, send: "hello\n".to_owned(), percent: Percent::Idle }
}

async fn report(kind: UtilizationKind) -> Result<Report, NoReport> {
    let timeout = Duration::from_secs(20);
    ask(LOCALHOST, &Utilization { kind, timeout, ..Utilization::DEFAULT }).await
}

#[tokio::test]
async fn the_balancers_own_clients_understand_all_three() {
    let dir = tempfile::tempdir().unwrap();
    let cgroup = dir.path().to_owned();
    std::fs::write(cgroup.join("cpu.stat"), "usage_usec 1000000\n").unwrap();
    let [line, http, grpc] = start(Settings { cgroup: Some(cgroup), ..everything() }).await;
    let http = UtilizationKind::OrcaHttp { port: http, path: "/".to_owned(), host: "a".to_owned() };
    // An idle group: agent-check says so, and ORCA, where 0 is nothing, says next to nothing.
    let said = report(agent_check(line)).await.unwrap();
    assert_eq!(said, Report { utilization: Some(0.0), ..Report::default() });
    for kind in [http, UtilizationKind::OrcaGrpc { port: grpc }] {
        let said = report(kind.clone()).await.unwrap();
        assert_eq!(said.utilization, Some(0.001), "{kind:?}");
        assert!(said.age.unwrap() > Duration::from_secs(1), "{kind:?}: {said:?}");
        assert_eq!(Report { utilization: None, age: None, ..said }, Report::default(), "{kind:?}");
    }
}

#[tokio::test]
async fn an_operator_drains_a_backend_from_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    let [port, ..] = start(Settings { state_file: Some(file.clone()), ..everything() }).await;
    for (word, expected) in
        [("", AdminState::Ready), ("drain", AdminState::Drain), ("maint", AdminState::Maint)]
    {
        std::fs::write(&file, word).unwrap();
        loop {
            let said = report(agent_check(port)).await.unwrap();
            assert!(said.utilization.is_some() && said.operational.is_none(), "{said:?}");
            if said.admin == Some(expected) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn no_client_keeps_others_from_their_answer() {
    let ports = start(everything()).await;
    let mut silent = Vec::new();
    for port in ports {
        for _ in 0..20 {
            silent.push(TcpStream::connect((LOCALHOST, port)).await.unwrap());
        }
        let mut endless = TcpStream::connect((LOCALHOST, port)).await.unwrap();
        tokio::spawn(async move { while endless.write_all(&[b'x'; 4096]).await.is_ok() {} });
    }
    let [line, http, grpc] = ports;
    let http = UtilizationKind::OrcaHttp { port: http, path: "/".to_owned(), host: "a".to_owned() };
    for kind in [agent_check(line), http, UtilizationKind::OrcaGrpc { port: grpc }] {
        assert!(report(kind.clone()).await.unwrap().utilization.is_some(), "{kind:?}");
    }
    // Clients that neither ask nor leave are let go of, each in its time.
    for mut client in silent {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
    }
}

/// Nothing is closed here for five seconds and more, and there are more than are served at once.
#[tokio::test]
async fn a_crowd_from_one_address_keeps_nobody_else_out() {
    let [line, http, grpc] = start(everything()).await;
    let limit = Limit::starting_now(Duration::from_secs(20));
    let period = Duration::from_millis(250);
    let mut stream = orca_grpc::open(SocketAddr::new(LOCALHOST, grpc), period, &limit).await.unwrap();
    let orca_http = UtilizationKind::OrcaHttp { port: http, path: "/".to_owned(), host: "a".to_owned() };
    for (port, kind) in
        [(line, agent_check(line)), (http, orca_http), (grpc, UtilizationKind::OrcaGrpc { port: grpc })]
    {
        let mut crowd = Vec::new();
        for _ in 0..280 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
            crowd.push(socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap());
        }
        let usual = Utilization { kind, ..Utilization::DEFAULT };
        let said = ask(LOCALHOST, &usual).await;
        assert!(said.as_ref().is_ok_and(|said| said.utilization.is_some()), "{usual:?}: {said:?}");
    }
    for _ in 0..3 {
        assert!(stream.next().await.unwrap().is_ok(), "who was there before the crowd stays");
    }
}

#[tokio::test]
async fn http_requests() {
    let [_, port, grpc] = start(everything()).await;
    for (port, request, words) in [
        (port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "endpoint-load-metrics: TEXT cpu_utilization="),
        (port, "HEAD /any HTTP/1.0\r\n\r\n", "named_metrics.uptime_seconds="),
        (port, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "405 Method Not Allowed"),
        (port, "nonsense\r\n\r\n", "400 Bad Request"),
        (grpc, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", ""),
    ] {
        let mut stream = TcpStream::connect((LOCALHOST, port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(words), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_said_at_once() {
    let taken = std::net::TcpListener::bind((LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let off = Settings { agent_check: None, orca_http: None, orca_grpc: None, ..everything() };
    for (settings, words) in [
        (Settings { orca_http: Some(address), ..everything() }, format!("--orca-http {address}")),
        (off, "every one of --agent-check, --orca-http and --orca-grpc is off".to_owned()),
        (Settings { cgroup: Some("/proc/none".into()), ..everything() }, "/proc/none/cpu.stat".to_owned()),
    ] {
        let error = Reporter::open(settings).await.unwrap_err().to_string();
        assert!(error.contains(&words), "{error}");
    }
}
