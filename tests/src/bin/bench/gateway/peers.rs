//! The server, and the proxies before it: each as its documentation tells for speed, with one thread.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::param::clock_ticks_per_second;
use xdp_lb_tests::certs::{Authority, Valid};
use xdp_lb_tests::client;
use xdp_lb_tests::gateway::Gateway;
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::process::Process;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::token;
use xdp_lb_tests::wait::wait_until_ok;

use super::cost::Case;

/// Where the proxies run.
const PROXY_CPU: usize = 0;

/// Where load and server run.
pub(super) const SHARED_CPU: usize = 1;

/// Body of a small answer: 125 bytes, as in the comparisons that others publish.
const SMALL: usize = 125;

/// Its last bytes.
const SMALL_END: &[u8] = b"the end of 125";

const LARGE: usize = 64 << 10;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Nginx,
    Haproxy,
    Gateway,
}

impl Kind {
    /// The proxies.
    pub(super) const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Gateway];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Gateway => "gateway",
        }
    }

    /// Plain, and with TLS.
    fn ports(self) -> (u16, u16) {
        match self {
            Self::Server => (8000, 8000),
            Self::Nginx => (8001, 8441),
            Self::Haproxy => (8002, 8442),
            Self::Gateway => (8003, 8443),
        }
    }

    /// The plain port that speaks HTTP/2: but for the gateway, proxies want to know beforehand.
    fn plain_h2_port(self) -> u16 {
        match self {
            Self::Server => 8000,
            Self::Nginx => 8011,
            Self::Haproxy => 8012,
            Self::Gateway => 8003,
        }
    }
}

/// All of them, running in a namespace.
pub(super) struct Bed<'a> {
    // Processes end before the namespace goes.
    processes: Vec<(Kind, Process)>,
    gateway: Gateway<'a>,
    // Holds their files.
    _scratch: Scratch,
    authorization: String,
    netns: &'a Netns,
}

impl<'a> Bed<'a> {
    pub(super) fn new(netns: &'a Netns) -> Result<Self> {
        let scratch = Scratch::new("bench")?;
        let folder = scratch.path();
        fs::create_dir_all(folder.join("tmp"))?;
        let www = folder.join("www");
        fs::create_dir_all(www.join("checked"))?;
        fs::write(www.join("small"), small())?;
        fs::write(www.join("large"), "x".repeat(LARGE))?;
        fs::write(www.join("checked/7"), small())?;
        let authority = Authority::new("bench")?;
        let issued = authority.issue(&["bench"], Valid::Now)?;
        fs::write(folder.join("bench.pem"), format!("{}{}", issued.certificate, issued.key))?;
        let mut processes = Vec::new();
        for (kind, name, text) in
            [(Kind::Server, "server.conf", server(folder)), (Kind::Nginx, "nginx.conf", nginx(folder))]
        {
            fs::write(folder.join(name), text)?;
            let mut command = pinned(netns, kind, "nginx");
            command.arg("-p").arg(folder).arg("-c").arg(folder.join(name)).args(["-e", "stderr"]);
            processes.push((kind, Process::spawn(kind.name(), command, &folder.join("log"))?));
        }
        fs::write(folder.join("haproxy.cfg"), haproxy(folder))?;
        let mut command = pinned(netns, Kind::Haproxy, "haproxy");
        command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
        processes.push((Kind::Haproxy, Process::spawn("haproxy", command, &folder.join("log"))?));
        let mut gateway = Gateway::new(netns)?;
        gateway.write("cert.pem", &issued.certificate)?;
        gateway.write("key.pem", &issued.key)?;
        gateway.write("openapi.yaml", OPENAPI)?;
        let signer = token::Signer::new("bench")?;
        gateway.write("jwks.json", signer.jwks())?;
        gateway.start(GATEWAY)?;
        let expires = token::seconds_from_now(86_400);
        let claims = serde_json::json!({"iss": "xdp-lb", "sub": "bench", "exp": expires});
        let authorization = format!("authorization: Bearer {}", signer.sign(&claims)?);
        let bed = Self { processes, gateway, _scratch: scratch, authorization, netns };
        bed.pin_gateway()?;
        bed.wait_ready()?;
        Ok(bed)
    }

    pub(super) fn netns(&self) -> &Netns {
        self.netns
    }

    /// A header with a valid token.
    pub(super) fn authorization(&self) -> &str {
        &self.authorization
    }

    pub(super) fn address(&self, kind: Kind, tls: bool) -> SocketAddr {
        let (plain, encrypted) = kind.ports();
        SocketAddr::from(([127, 0, 0, 1], if tls { encrypted } else { plain }))
    }

    pub(super) fn url(&self, kind: Kind, case: &Case) -> String {
        let mut address = self.address(kind, case.tls);
        if !case.tls && case.load.is_h2() {
            address.set_port(kind.plain_h2_port());
        }
        format!("{}://{address}{}", if case.tls { "https" } else { "http" }, case.path)
    }

    /// What all threads of its processes have run so far, in user space and in the kernel.
    pub(super) fn processor_time(&self, kind: Kind) -> Result<Duration> {
        let mut ticks = 0.0;
        for pid in self.pids(kind)? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading a process's time")?;
            // Fields 14 and 15; what is before the last bracket may hold blanks.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            ticks += fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(Duration::from_secs_f64(ticks / clock_ticks_per_second() as f64))
    }

    /// What its processes hold of the machine's memory, in KiB, pages shared with others in part.
    pub(super) fn memory(&self, kind: Kind) -> Result<f64> {
        let mut total = 0.0;
        for pid in self.pids(kind)? {
            let text =
                fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("reading its memory")?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
            total += line.trim().trim_end_matches("kB").trim().parse::<f64>().context("no number of KiB")?;
        }
        Ok(total)
    }

    /// The process and its children.
    fn pids(&self, kind: Kind) -> Result<Vec<u32>> {
        let own = match kind {
            Kind::Gateway => self.gateway.pid()?,
            _ => {
                let found = self.processes.iter().find(|(other, _)| *other == kind);
                found.map(|(_, process)| process.pid()).context("it does not run")?
            }
        };
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        Ok(std::iter::once(own).chain(children).collect())
    }

    fn pin_gateway(&self) -> Result<()> {
        let pid = self.gateway.pid()?.to_string();
        let status = std::process::Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", &PROXY_CPU.to_string(), &pid])
            .stdout(std::process::Stdio::null())
            .status()
            .context("running taskset")?;
        ensure!(status.success(), "taskset ended: {status}");
        Ok(())
    }

    fn wait_ready(&self) -> Result<()> {
        for kind in [Kind::Server, Kind::Nginx, Kind::Haproxy, Kind::Gateway] {
            let address = self.address(kind, false);
            self.netns
                .run_in(|| {
                    wait_until_ok(Duration::from_secs(10), &format!("{} answers", kind.name()), || {
                        let answer = client::get(address, "/small", Duration::from_secs(1))?;
                        ensure!(answer.body == small().as_bytes(), "{}", answer.text());
                        Ok(())
                    })
                })
                .with_context(|| match self.processes.iter().find(|(other, _)| *other == kind) {
                    Some((_, process)) => process.tail(),
                    None => self.gateway.tail(),
                })?;
        }
        Ok(())
    }
}

/// A connection to a proxy's plain port, from within the namespace.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// Asks for the small answer, and waits for the whole of it.
pub(super) fn ask(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let mut answer = [0; 2048];
    let mut length = 0;
    while !answer[..length].ends_with(SMALL_END) {
        let read = stream.read(&mut answer[length..])?;
        ensure!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    Ok(())
}

fn pinned(netns: &Netns, kind: Kind, program: &str) -> std::process::Command {
    let cpu = if kind == Kind::Server { SHARED_CPU } else { PROXY_CPU };
    let mut command = netns.command("taskset");
    command.args(["--cpu-list", &cpu.to_string(), program]);
    command
}

fn small() -> String {
    let end = String::from_utf8_lossy(SMALL_END);
    format!("{:-<width$}{end}", "", width = SMALL - end.len())
}

fn common(folder: &Path) -> String {
    let tmp = folder.join("tmp");
    let mut text =
        String::from("access_log off; keepalive_timeout 600s; keepalive_requests 1000000000; sendfile on;\n");
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text += &format!("{kind}_temp_path {};\n", tmp.join(kind).display());
    }
    text
}

fn server(folder: &Path) -> String {
    format!(
        "daemon off; worker_processes 1; pid {pid}; events {{ worker_connections 4096; }}\n\
         http {{ {common} open_file_cache max=100; server {{ listen 127.0.0.1:8000; listen 127.0.0.2:8000; root {www}; }} }}\n",
        pid = folder.join("server.pid").display(),
        common = common(folder),
        www = folder.join("www").display(),
    )
}

fn nginx(folder: &Path) -> String {
    format!(
        "daemon off; worker_processes 1; pid {pid};\n\
         events {{ worker_connections 15000; }}\n\
         http {{ {common}\n\
         upstream pool {{ server 127.0.0.1:8000; server 127.0.0.2:8000; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:8001; listen 127.0.0.1:8011 http2; listen 127.0.0.1:8441 ssl http2;\n\
         ssl_certificate {pem}; ssl_certificate_key {pem}; http2_max_concurrent_streams 128;\n\
         location / {{ proxy_pass http://pool; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n",
        pid = folder.join("nginx.pid").display(),
        common = common(folder),
        pem = folder.join("bench.pem").display(),
    )
}

fn haproxy(folder: &Path) -> String {
    let pem = folder.join("bench.pem");
    let pem = pem.display();
    format!(
        "global\n  nbthread 1\n  maxconn 4000\n  tune.ssl.default-dh-param 2048\n\
         defaults\n  mode http\n  timeout client 600s\n  timeout server 60s\n  timeout connect 5s\n  option http-keep-alive\n  http-reuse always\n\
         frontend plain\n  bind 127.0.0.1:8002\n  bind 127.0.0.1:8012 proto h2\n  bind 127.0.0.1:8442 ssl crt {pem} alpn h2,http/1.1\n  option forwardfor\n  default_backend pool\n\
         backend pool\n  balance random(2)\n  server a 127.0.0.1:8000\n  server b 127.0.0.2:8000\n"
    )
}

/// Routing, choice of two, metrics and limits are on; so are a token and the API's description where they are asked for.
const GATEWAY: &str = r#"
[gateway]
threads = 1
[gateway.limits]
idle_timeout = "10m"
connections = 15000
[admin]
listen = "127.0.0.1:9401"
[log]
format = "off"

[[listener]]
name = "plain"
address = "127.0.0.1:8003"
[[listener]]
name = "tls"
address = "127.0.0.1:8443"
[listener.tls]
certificates = [{ certificate = "{folder}/cert.pem", key = "{folder}/key.pem" }]

[[pool]]
name = "web"
[[pool.server]]
name = "a"
address = "127.0.0.1:8000"
[[pool.server]]
name = "b"
address = "127.0.0.2:8000"
[pool.balance]
warmup = "0s"

[[verifier]]
name = "tokens"
pass = { x-user = "subject" }
[verifier.jwt]
file = "{folder}/jwks.json"
algorithms = ["ES256"]
issuer = "xdp-lb"

[[rate_limit]]
name = "each"
key = "address"
rate = "1000000/s"
burst = 1000000

[[openapi]]
name = "api"
path = "{folder}/openapi.yaml"

[[route]]
name = "small"
prefix = "/small"
pool = "web"
rate_limits = ["each"]
[[route]]
name = "large"
prefix = "/large"
pool = "web"
rate_limits = ["each"]
[[route]]
name = "checked"
prefix = "/checked"
pool = "web"
rate_limits = ["each"]
[route.access]
any_of = ["tokens"]
[route.openapi]
document = "api"
"#;

const OPENAPI: &str = r"
openapi: 3.1.0
info: { title: bench, version: '1' }
paths:
  /checked/{id}:
    get:
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer, minimum: 1 } }
        - { name: page, in: query, schema: { type: integer, minimum: 0 } }
      responses:
        '200': { description: it }
";
