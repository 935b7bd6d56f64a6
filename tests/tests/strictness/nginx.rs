//! nginx as most have it: a front that passes on to a back, both on sockets in a scratch folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xdp_lb_tests::process::Process;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::wait::wait_until_ok;

/// After which a connection on which nothing happens is closed: that is how a test knows that all answers are there.
const QUIET: &str = "700ms";

/// Far above that: a connection that stays open nevertheless is an error.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Nginx {
    front: PathBuf,
    scratch: Scratch,
    process: Option<Process>,
}

impl Nginx {
    pub(crate) fn start() -> Result<Self> {
        let scratch = Scratch::new("strictness")?;
        let folder = scratch.path();
        fs::create_dir(folder.join("tmp"))?;
        fs::write(folder.join("nginx.conf"), configuration(&scratch))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
        let mut process = Process::spawn("nginx", command, &folder.join("log"))?;
        let front = folder.join("front.sock");
        wait_until_ok(PATIENCE, "nginx listens", || {
            process.must_run()?;
            Ok(UnixStream::connect(&front)?)
        })?;
        Ok(Self { front, scratch, process: Some(process) })
    }

    /// Status of each answer to these bytes.
    pub(crate) fn answers(&self, bytes: &[u8]) -> Result<Vec<u16>> {
        let mut stream = UnixStream::connect(&self.front).context("connecting to nginx")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // It may refuse and close before it has read all.
        let _ = stream.write_all(bytes);
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => text.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error).context("nginx neither answered nor closed"),
            }
        }
        Ok(super::statuses(&text))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Before its folder goes.
        drop(self.process.take());
        let _ = self.scratch.path();
    }
}

/// One process, so that killing it leaves nothing behind.
fn configuration(scratch: &Scratch) -> String {
    let folder = scratch.path().display();
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_header_timeout {QUIET};
    client_body_timeout {QUIET};
    keepalive_timeout {QUIET};
    lingering_close off;
    client_body_temp_path {folder}/tmp/client;
    proxy_temp_path {folder}/tmp/proxy;
    fastcgi_temp_path {folder}/tmp/fastcgi;
    uwsgi_temp_path {folder}/tmp/uwsgi;
    scgi_temp_path {folder}/tmp/scgi;
    server {{
        listen unix:{folder}/front.sock;
        location / {{ proxy_pass http://unix:{folder}/back.sock; proxy_set_header Host $host; }}
    }}
    server {{
        listen unix:{folder}/back.sock;
        location / {{ return 200 ok; }}
    }}
}}
"
    )
}
