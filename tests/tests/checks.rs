//! Health checks, one by one, against real servers and the kernel's own answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use xdp_lb::config::{CheckTls, HealthKind};
use xdp_lb::probe::Prober;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::certs::{Authority, Valid};
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::tlsserver::{Site, TlsServer};
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::udpserver::UdpServer;
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{clock, ip, require_root, scene};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const PATIENT: Duration = Duration::from_secs(10);
const QUICK: Duration = Duration::from_millis(200);

/// Runs `work` inside the namespace, on a runtime like the agent's.
fn inside<T: Send>(netns: &Netns, work: impl AsyncFnOnce(Prober) -> T + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(work(Prober::default())))
    };
    netns.run_in(run).unwrap()
}

struct Https {
    port: u16,
    path: &'static str,
    body: Option<&'static str>,
    tls: Option<CheckTls>,
}

impl Https {
    fn kind(self) -> HealthKind {
        HealthKind::Http {
            port: self.port,
            path: self.path.into(),
            host: "host.example".into(),
            expect: 200..=399,
            body: self.body.map(str::to_owned),
            tls: self.tls,
        }
    }
}

#[test]
fn certificates_statuses_and_bodies_decide_over_tls() {
    require_root!();
    let (ours, others) = (Authority::new("ours").unwrap(), Authority::new("others").unwrap());
    let site = |port, name, certificate| Site { port, name, certificate };
    let issued = |names: &[&str], valid| Some(ours.issue(names, valid).unwrap());
    let netns = Netns::new("tls").unwrap();
    let sites = [
        site(443, "web.example", issued(&["web.example", "*.web.example"], Valid::Now)),
        site(443, "other.example", issued(&["other.example"], Valid::Now)),
        site(444, "web.example", issued(&["web.example"], Valid::Formerly)),
        site(445, "web.example", issued(&["web.example"], Valid::Later)),
        site(446, "127.0.0.1", issued(&["127.0.0.1", "::1"], Valid::Now)),
        site(447, "web.example", Some(others.shown_by_a_server())),
        site(80, "web.example", None),
    ];
    let _server = TlsServer::start(&netns, &sites).unwrap();
    let (ours, others): (Arc<[u8]>, Arc<[u8]>) =
        (ours.pem().into_bytes().into(), others.pem().into_bytes().into());
    let both: Arc<[u8]> = [&*others, &*ours].concat().into();
    let tls = |name: &str, verify, ca: Option<&Arc<[u8]>>| {
        Some(CheckTls { server_name: name.into(), verify, ca: ca.cloned() })
    };
    let https = |port, path, body, tls| Https { port, path, body, tls }.kind();
    let trusting = |port, name: &str| https(port, "/", None, tls(name, true, Some(&ours)));
    let body = |path, text, name: &str| https(443, path, Some(text), tls(name, true, Some(&ours)));
    let web_other = "certificate is for other names: web.example, *.web.example, not else.example";
    let rows: Vec<(&str, IpAddr, HealthKind, Result<(), &str>)> = vec![
        ("as it should be", V4, trusting(443, "web.example"), Ok(())),
        ("over IPv6", V6, trusting(443, "web.example"), Ok(())),
        ("a wildcard", V4, trusting(443, "a.web.example"), Ok(())),
        ("one CA of two", V4, https(443, "/", None, tls("web.example", true, Some(&both))), Ok(())),
        (
            "another CA",
            V4,
            https(443, "/", None, tls("web.example", true, Some(&others))),
            Err("certificate of an unknown issuer"),
        ),
        ("another name", V4, trusting(443, "else.example"), Err(web_other)),
        ("a name chooses the certificate", V4, body("/sni", "for other.example", "other.example"), Ok(())),
        ("the other name", V4, body("/sni", "for web.example", "web.example"), Ok(())),
        ("the host is its own", V4, body("/host", "host.example", "web.example"), Ok(())),
        ("another body", V4, body("/", "fine", "web.example"), Err("the body does not contain \"fine\"")),
        (
            "another status",
            V4,
            https(443, "/sick", None, tls("web.example", true, Some(&ours))),
            Err("status 503, expected 200-399"),
        ),
        ("expired", V4, trusting(444, "web.example"), Err("certificate expired")),
        ("not valid yet", V4, trusting(445, "web.example"), Err("certificate is not valid yet")),
        ("expired, and nobody minds", V4, https(444, "/", None, tls("web.example", false, None)), Ok(())),
        ("an address", V4, trusting(446, "127.0.0.1"), Ok(())),
        ("an address of IPv6", V6, trusting(446, "::1"), Ok(())),
        (
            "another address",
            V4,
            trusting(446, "127.0.0.2"),
            Err("certificate is for other names: 127.0.0.1, "),
        ),
        (
            "a CA's own certificate",
            V4,
            https(447, "/", None, tls("web.example", true, Some(&others))),
            Err("the server shows a CA's own certificate"),
        ),
        ("no TLS there", V4, trusting(80, "web.example"), Err("TLS handshake: the answer is not TLS")),
        ("TLS where none was expected", V4, https(443, "/", None, None), Err("status 400, expected 200-399")),
        ("nobody there", V4, trusting(448, "web.example"), Err("connection refused")),
    ];
    inside(&netns, async |prober| {
        for (row, address, kind, expected) in &rows {
            let outcome = prober.probe(*address, None, kind, PATIENT).await;
            match expected {
                Ok(()) => assert_eq!(outcome, Ok(()), "{row}"),
                Err(words) => {
                    assert!(outcome.as_ref().is_err_and(|e| e.starts_with(words)), "{row}: {outcome:?}");
                }
            }
        }
        let systems = https(443, "/", None, tls("web.example", true, None));
        let outcome = prober.probe(V4, None, &systems, PATIENT).await.unwrap_err();
        let known = ["certificate of an unknown issuer", "this machine has no trusted certificates"];
        assert!(known.iter().any(|words| outcome.starts_with(words)), "the machine's own: {outcome}");
    });
}

/// A namespace with a network behind which nobody is: what is sent there is swallowed.
fn with_black_hole() -> Netns {
    let netns = Netns::new("hole").unwrap();
    let commands = [
        "link add name hole type veth peer name void",
        "link set void up",
        "link set hole up",
        "address add 192.0.2.1/24 dev hole",
        "address add 2001:db8::1/64 dev hole nodad",
    ];
    ip::batch(Some(netns.name()), &commands.map(str::to_owned)).unwrap();
    // The kernel takes up an IPv6 address in its own time, even without asking whether somebody has it.
    wait_until(PATIENT, "the address is this machine's", || {
        let way = ip::run(&["-netns", netns.name(), "-6", "route", "get", "2001:db8::1"]).ok()?;
        way.starts_with("local").then_some(())
    })
    .unwrap();
    netns
}

fn late<T>() -> Result<T, String> {
    Err("no answer within 200ms".to_owned())
}

#[test]
fn pings_are_answered_or_not_by_either_kind_of_socket() {
    require_root!();
    // Which groups may open the kernel's own sockets for pings: none, and root's.
    for groups in ["1 0", "0 0"] {
        let netns = with_black_hole();
        netns.sysctl(&[("net/ipv4/ping_group_range", groups)]).unwrap();
        inside(&netns, async |prober| {
            for address in [V4, V6, "192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()] {
                let outcome = prober.probe(address, None, &HealthKind::Icmp, PATIENT).await;
                assert_eq!(outcome, Ok(()), "{address}, groups {groups}");
            }
            for address in ["192.0.2.2", "2001:db8::2"] {
                let began = clock::now();
                let outcome = prober.probe(address.parse().unwrap(), None, &HealthKind::Icmp, QUICK).await;
                assert_eq!(outcome, late(), "{address}, groups {groups}");
                assert!(began.elapsed() < PATIENT, "it ends in time");
            }
            for address in ["203.0.113.1", "2001:db8:1::1"] {
                let outcome = prober.probe(address.parse().unwrap(), None, &HealthKind::Icmp, QUICK).await;
                assert_eq!(outcome, Err("network unreachable".to_owned()), "{address}, groups {groups}");
            }
        });
    }
}

#[test]
fn thousands_of_pings_at_once_each_have_their_own_answer() {
    require_root!();
    for groups in ["1 0", "0 0"] {
        let netns = with_black_hole();
        netns.sysctl(&[("net/ipv4/ping_group_range", groups)]).unwrap();
        inside(&netns, async |prober| {
            let prober = Arc::new(prober);
            let ping = |address: IpAddr, timeout| {
                let prober = Arc::clone(&prober);
                tokio::spawn(async move { prober.probe(address, None, &HealthKind::Icmp, timeout).await })
            };
            let living: Vec<_> = (0..3000u16)
                .map(|host| ping(Ipv4Addr::new(127, 1, (host >> 8) as u8, host as u8).into(), PATIENT))
                .collect();
            let dead: Vec<_> =
                (2..250).map(|host| ping(Ipv4Addr::new(192, 0, 2, host).into(), QUICK)).collect();
            for task in living {
                assert_eq!(task.await.unwrap(), Ok(()));
            }
            for task in dead {
                assert_eq!(task.await.unwrap(), late());
            }
        });
    }
}

#[test]
fn without_the_right_to_ping_the_reason_is_told() {
    require_root!();
    let netns = Netns::new("noping").unwrap();
    netns.sysctl(&[("net/ipv4/ping_group_range", "1 0")]).unwrap();
    inside(&netns, async |prober| {
        let mut mine = capabilities(None).unwrap();
        mine.effective.remove(CapabilitySet::NET_RAW);
        set_capabilities(None, mine).unwrap();
        for address in [V4, V6] {
            let outcome = prober.probe(address, None, &HealthKind::Icmp, PATIENT).await;
            let words =
                "cannot ping: give the agent CAP_NET_RAW, or allow its group in net.ipv4.ping_group_range";
            assert_eq!(outcome, Err(words.to_owned()));
        }
    });
}

#[test]
fn a_mark_is_on_the_first_packet() {
    require_root!();
    let netns = with_black_hole();
    let rules = ["rule add fwmark 0x7864 prohibit", "-6 rule add fwmark 0x7864 prohibit"];
    for rule in rules {
        ip::run(&[&["-netns", netns.name()], &rule.split(' ').collect::<Vec<_>>()[..]].concat()).unwrap();
    }
    inside(&netns, async |prober| {
        let udp = HealthKind::Udp { port: 7, request: b"x".to_vec(), expect: Vec::new() };
        let http = Https { port: 7, path: "/", body: None, tls: None }.kind();
        for kind in [HealthKind::Tcp { port: 7 }, http, udp] {
            for address in ["192.0.2.2", "2001:db8::2"] {
                let address = address.parse().unwrap();
                let unmarked = prober.probe(address, None, &kind, QUICK).await;
                assert_eq!(unmarked, late(), "{kind:?}");
                let marked = prober.probe(address, Some(0x7864), &kind, QUICK).await;
                let forbidden = "forbidden by this machine's firewall".to_owned();
                assert_eq!(marked, Err(forbidden), "{kind:?}: the rule for its mark holds");
            }
        }
    });
}

/// One VIP for each kind, as a user writes it; then the third backend loses what each check asks for.
#[test]
fn the_agent_makes_checks_of_each_kind() {
    require_root!();
    const TIMES: &str = "interval = \"400ms\"\nfast_interval = \"100ms\"\ntimeout = \"400ms\"\nfall = 2\n";
    let topology = Topology::new(Options::default()).unwrap();
    let authority = Authority::new("backends").unwrap();
    let issued = Some(authority.issue(&["web.example"], Valid::Now).unwrap());
    let site = [Site { port: 443, name: "web.example", certificate: issued }];
    let folder = Scratch::new("ca").unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let any = (Ipv4Addr::UNSPECIFIED, 53).into();
    let mut servers: Vec<_> = (topology.backends.iter())
        .map(|netns| (TlsServer::start(netns, &site).unwrap(), UdpServer::start(netns, "udp", any).unwrap()))
        .collect();
    let vip = |name: &str, vip: IpAddr, port, health: &str| {
        let mut vip =
            scene::vip(&topology, (vip, port).into(), "l2", &[1, 1, 1]).health(&format!("{TIMES}{health}"));
        vip.name = name.to_owned();
        for backend in &mut vip.backends {
            backend.name = format!("{name}-{}", backend.name);
        }
        vip
    };
    let https = format!(
        "kind = \"https\"\nserver_name = \"web.example\"\nbody = \"ok from\"\nca = {:?}",
        ca.to_str().unwrap()
    );
    let udp = "kind = \"udp\"\nport = 53\nrequest = \"hex:70 69\"\nanswer = \"udp pi\"";
    let config = LbConfig::new(vec![
        vip("https", VIPS_V4[0].into(), 443, &https),
        vip("udp", VIPS_V4[0].into(), 80, udp),
        vip("icmp", VIPS_V4[1].into(), 80, "kind = \"icmp\""),
        vip("icmp6", VIPS_V6[0].into(), 80, "kind = \"icmp\""),
    ]);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    drop(servers.remove(2));
    topology.backends[2]
        .sysctl(&[("net/ipv4/icmp_echo_ignore_all", "1"), ("net/ipv6/icmp/echo_ignore_all", "1")])
        .unwrap();
    for (backend, reason) in [
        ("https-web-3", "last check: connection refused"),
        ("udp-web-3", "last check: connection refused"),
        ("icmp-web-3", "last check: no answer within 400ms"),
        ("icmp6-web-3", "last check: no answer within 400ms"),
    ] {
        let mut last = String::new();
        let is_down = || {
            let status = agent.status().ok()?;
            let found =
                status.vips.iter().flat_map(|vip| &vip.backends).find(|found| found.name == backend)?;
            last = format!("{}, {}", found.state, found.reason);
            (found.state == "down" && found.reason == reason).then_some(())
        };
        let outcome = wait_until(PATIENT, backend, is_down);
        assert!(outcome.is_ok(), "{backend}: {last}");
    }
    let status = agent.status().unwrap();
    let states = status.vips.iter().flat_map(|vip| &vip.backends).map(|backend| backend.state.as_str());
    assert_eq!(states.filter(|state| *state == "up").count(), 4 * 2, "the others stay up");
}
