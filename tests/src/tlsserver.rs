//! nginx with TLS: sites by port and name, each with a certificate of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::certs::Issued;
use crate::netns::Netns;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::wait_until_ok;

/// One site, on every address of both families. `/` says `ok from <name>`, `/host` the request's `Host`, `/sni` the name
/// asked for in the handshake; `/sick` is 503.
#[derive(Clone, Debug)]
pub struct Site {
    /// Port; the first site of a port is served to those who name none.
    pub port: u16,
    /// The name that chooses it.
    pub name: &'static str,
    /// What it shows; plain HTTP without.
    pub certificate: Option<Issued>,
}

/// nginx in a namespace.
#[derive(Debug)]
pub struct TlsServer {
    _process: Process,
    _scratch: Scratch,
}

impl TlsServer {
    /// Starts it and waits until it listens.
    pub fn start(netns: &Netns, sites: &[Site]) -> Result<Self> {
        let scratch = Scratch::new("tls")?;
        let folder = scratch.path();
        let mut servers = String::new();
        for (index, site) in sites.iter().enumerate() {
            let first = !sites.iter().take(index).any(|earlier| earlier.port == site.port);
            let mut flags = if first { " default_server".to_owned() } else { String::new() };
            let mut certificate = String::new();
            if let Some(issued) = &site.certificate {
                fs::write(folder.join(format!("{index}.pem")), &issued.certificate)?;
                fs::write(folder.join(format!("{index}.key")), &issued.key)?;
                flags += " ssl";
                let file = folder.join(index.to_string());
                let file = file.display();
                certificate = format!("ssl_certificate {file}.pem; ssl_certificate_key {file}.key;");
            }
            let Site { port, name, .. } = site;
            write!(
                servers,
                "server {{
    listen {port}{flags}; listen [::]:{port}{flags};
    server_name {name};
    {certificate}
    location / {{ return 200 \"ok from {name}\\n\"; }}
    location = /host {{ return 200 \"$host\\n\"; }}
    location = /sni {{ return 200 \"for $ssl_server_name\\n\"; }}
    location = /sick {{ return 503; }}
}}
"
            )?;
        }
        let configuration = folder.join("nginx.conf");
        let shown = folder.display();
        let text = format!(
            "daemon off;
master_process off;
pid {shown}/pid;
error_log stderr notice;
events {{ worker_connections 2048; }}
http {{
access_log off;
client_body_temp_path {shown}/client;
proxy_temp_path {shown}/proxy;
fastcgi_temp_path {shown}/fastcgi;
uwsgi_temp_path {shown}/uwsgi;
scgi_temp_path {shown}/scgi;
default_type text/plain;
{servers}}}
"
        );
        fs::write(&configuration, text).context("writing nginx.conf")?;
        let mut command = netns.command("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&configuration).args(["-e", "stderr"]);
        let mut process = Process::spawn("nginx", command, &folder.join("log"))?;
        let port = sites.first().map_or(0, |site| site.port);
        netns.run_in(|| {
            wait_until_ok(Duration::from_secs(10), "nginx listens", || {
                process.must_run()?;
                Ok(TcpStream::connect(("127.0.0.1", port))?)
            })
        })?;
        Ok(Self { _process: process, _scratch: scratch })
    }
}
