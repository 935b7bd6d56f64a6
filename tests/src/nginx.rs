//! A real web server that says its name.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::body;
use crate::client;
use crate::netns::{Handle, Netns};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::wait_until_ok;

/// The port it listens on, on every address of both families.
pub const PORT: u16 = 80;

const READY: Duration = Duration::from_secs(10);

/// nginx in a namespace: `/` and `/name` say its name, `/healthz` is 200, `/files/…` serves what was put there,
/// compressed for those who ask, says the connection's number, and takes `PUT`.
#[derive(Debug)]
pub struct Nginx<'a> {
    name: String,
    netns: &'a Netns,
    scratch: Scratch,
    process: Option<Process>,
}

impl<'a> Nginx<'a> {
    /// Starts it and waits until it answers.
    pub fn start(netns: &'a Netns, name: &str) -> Result<Self> {
        let scratch = Scratch::new("nginx")?;
        for folder in ["files", "tmp"] {
            fs::create_dir(scratch.path().join(folder)).context("making nginx's folders")?;
        }
        fs::write(scratch.path().join("nginx.conf"), configuration(&scratch, name))
            .context("writing nginx.conf")?;
        let mut nginx = Self { name: name.to_owned(), netns, scratch, process: None };
        nginx.start_again()?;
        Ok(nginx)
    }

    /// Starts it after [`stop`](Self::stop).
    pub fn start_again(&mut self) -> Result<()> {
        let folder = self.scratch.path();
        let mut command = self.netns.command("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
        let process = self.process.insert(Process::spawn(&self.name, command, &folder.join("log"))?);
        let what = format!("{} answers", self.name);
        self.netns.run_in(|| {
            wait_until_ok(READY, &what, || {
                process.must_run()?;
                Ok(client::get(([127, 0, 0, 1], PORT).into(), "/healthz", Duration::from_secs(1))?)
            })
        })?;
        Ok(())
    }

    /// Kills it: its port refuses connections from then on, and its open ones are reset.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// What it says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn handle(&self) -> &Handle {
        self.netns.handle()
    }

    /// What is served under `/files/`, and where uploads arrive.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("files")
    }

    /// Serves `bytes` as `/files/<file>`.
    pub fn serve(&self, file: &str, bytes: &[u8]) -> Result<()> {
        fs::write(self.folder().join(file), bytes).with_context(|| format!("writing {file}"))
    }

    /// Digest of what was `PUT` to `/files/<file>`.
    pub fn digest_of(&self, file: &str) -> Result<String> {
        let bytes = fs::read(self.folder().join(file));
        Ok(body::digest(&bytes.with_context(|| format!("{file} was not uploaded to {}", self.name))?))
    }
}

/// One process, so that killing it leaves nothing behind.
fn configuration(scratch: &Scratch, name: &str) -> String {
    let folder = scratch.path().display();
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr notice;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_max_body_size 64m;
    client_body_temp_path {folder}/tmp/client;
    proxy_temp_path {folder}/tmp/proxy;
    fastcgi_temp_path {folder}/tmp/fastcgi;
    uwsgi_temp_path {folder}/tmp/uwsgi;
    scgi_temp_path {folder}/tmp/scgi;
    default_type text/plain;
    server {{
        listen {PORT} backlog=1024;
        listen [::]:{PORT} backlog=1024;
        location / {{ return 200 \"{name}\\n\"; }}
        location = /healthz {{ return 200 \"ok\\n\"; }}
        location /files/ {{
            root {folder};
            dav_methods PUT;
            add_header X-Backend {name} always;
            add_header X-Connection $connection always;
            gzip on;
            gzip_proxied any;
            gzip_types text/plain;
        }}
    }}
}}
"
    )
}
