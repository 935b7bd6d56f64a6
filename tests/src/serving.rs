//! A server of the tests' own: a thread in a namespace, with an event loop and a listening socket.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::netns::Handle;

/// The thread; ends on drop, its connections too.
#[derive(Debug)]
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Listens at `address` in the namespace, and runs `serve` until dropped.
    pub fn start<F: Future<Output = ()>>(
        netns: &Handle,
        name: &str,
        address: SocketAddr,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (told, ready) = std::sync::mpsc::channel();
        let netns = netns.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let started = netns.enter().and_then(|()| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let listener = runtime.block_on(TcpListener::bind(address)).context("listening")?;
                Ok((runtime, listener))
            });
            match started {
                Ok((runtime, listener)) => {
                    let _ = told.send(Ok(()));
                    runtime.block_on(async {
                        tokio::select! {
                            () = serve(listener) => {}
                            _ = stopped => {}
                        }
                    });
                    // What is under way is cut, as by a kill.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = told.send(Err(error));
                }
            }
        })?;
        ready.recv().context("the server's thread ended")??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}
