//! The program in the kernel, loaded and not attached, handed frames by `BPF_PROG_TEST_RUN`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aya::programs::{TestRun, TestRunOptions, Xdp};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use xdp_lb::config::Agent;
use xdp_lb::control::{Command, Counters, InterfaceStatus, Sweep};
use xdp_lb::datapath::{Datapath, Kernel, KernelError};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::{Settings, Traffic};
use xdp_lb_common::reason::Reason;

use crate::ip;
use crate::netns::Netns;

use super::{Action, DRIVER_ROOM, Forwarded, Handled, INGRESS, World};

/// The real data path without an interface.
pub struct KernelProgram {
    kernel: Kernel,
    counted: Counters,
}

impl KernelProgram {
    /// Loads the program with maps of its own, and ties the calling thread to the CPU it is on: budgets are per CPU,
    /// and a test run takes place on the caller's.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn load(agent: &Agent) -> Self {
        stay_on_this_cpu();
        let (mut kernel, _) = Kernel::load(agent, None).unwrap_or_else(|e| panic!("loading: {e}"));
        let counted = kernel.counters().unwrap_or_else(|e| panic!("counters: {e}"));
        Self { kernel, counted }
    }

    fn count(&mut self) -> (Reason, Option<Forwarded>) {
        let counters = self.kernel.counters().unwrap_or_else(|e| panic!("counters: {e}"));
        let before = std::mem::replace(&mut self.counted, counters);
        let after = &self.counted;
        let reasons: Vec<Reason> = Reason::ALL
            .iter()
            .copied()
            .filter(|&reason| after.reasons[reason as usize] != before.reasons[reason as usize])
            .collect();
        let [reason] = reasons[..] else { panic!("counted under {reasons:?}, not under one reason") };
        assert_eq!(after.reasons[reason as usize], before.reasons[reason as usize] + 1, "{reason:?}");
        let forwarded = only_change(&before.backends, &after.backends);
        (reason, forwarded)
    }
}

impl World for KernelProgram {
    fn handle_with_room(&mut self, frame: &[u8], room: usize) -> Handled {
        let program = self.kernel.program().unwrap_or_else(|e| panic!("{e}"));
        let (action, bytes) = test_run(program, frame, room);
        let (reason, forwarded) = self.count();
        Handled { reason, action, bytes, forwarded }
    }

    fn settings(&self) -> Settings {
        self.kernel.settings()
    }
}

impl Datapath for KernelProgram {
    type Error = KernelError;

    fn apply(&mut self, command: &Command) -> Result<(), KernelError> {
        self.kernel.apply(command)?;
        if matches!(command, Command::WriteDirectory(_) | Command::WriteBackend(_) | Command::ClearBackend(_))
        {
            // Others are counted now, or from zero.
            self.counted = self.kernel.counters()?;
        }
        Ok(())
    }

    fn advance_epoch(&mut self, elapsed: Duration) {
        self.kernel.advance_epoch(elapsed);
    }

    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep> {
        self.kernel.sweep(parts, now)
    }

    fn counters(&mut self) -> Result<Counters, KernelError> {
        self.kernel.counters()
    }

    fn flow_hash(&self, client: SocketAddr, vip: SocketAddr, protocol: u8) -> u64 {
        self.kernel.flow_hash(client, vip, protocol)
    }

    fn recorded(&self, flow_hash: u64) -> Option<BackendId> {
        self.kernel.recorded(flow_hash)
    }

    fn load(&self, backend: BackendId) -> Option<BackendLoad> {
        self.kernel.load(backend)
    }

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.kernel.interfaces()
    }
}

/// Runs `work` on a thread with a network of its own, prepared by `ip` with each of `commands`; its loopback is up.
///
/// # Panics
///
/// With `work`, or if the network cannot be made.
pub fn in_own_network<T: Send>(commands: &[&str], work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        let netns = Netns::new("own")?;
        let lines: Vec<String> = commands.iter().map(|&line| line.to_owned()).collect();
        ip::batch(Some(netns.name()), &lines)?;
        netns.run_in(|| Ok(work()))
    };
    inside().unwrap_or_else(|error: anyhow::Error| panic!("a network of its own: {error:#}"))
}

/// Hands `program` one frame that has `room` bytes before it: metadata fills what is more.
pub(super) fn test_run(program: &Xdp, frame: &[u8], room: usize) -> (Action, Vec<u8>) {
    let metadata = DRIVER_ROOM - room;
    let data = [&vec![0; metadata], frame].concat();
    // `struct xdp_md`: data, data_end, data_meta, interface, queue, egress. Offsets into what is handed in.
    let context = [metadata as u32, data.len() as u32, 0, INGRESS, 0, 0].map(u32::to_ne_bytes).concat();
    let mut output = vec![0; data.len() + DRIVER_ROOM];
    let run = program
        .test_run(TestRunOptions {
            data_in: Some(&data),
            data_out: Some(&mut output),
            ctx_in: (metadata > 0).then_some(&context),
            ..TestRunOptions::default()
        })
        .unwrap_or_else(|e| panic!("test run over {} bytes: {e}", data.len()));
    output.truncate(run.data_size_out as usize);
    (Action::from_number(run.return_value), output.split_off(metadata.min(output.len())))
}

/// The one backend whose counters changed.
fn only_change(before: &[Traffic], after: &[Traffic]) -> Option<Forwarded> {
    let earlier = before.iter().copied().chain(std::iter::repeat(Traffic::default()));
    let mut changes = after.iter().zip(earlier).enumerate().filter(|(_, (after, before))| **after != *before);
    let (position, (after, before)) = changes.next()?;
    assert!(changes.next().is_none(), "one frame was counted with two backends");
    let backend = u16::try_from(position).ok().and_then(BackendId::new);
    let backend = backend.unwrap_or_else(|| panic!("counted with backend {position}"));
    let counted = Traffic {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
        new_flows: after.new_flows - before.new_flows,
        closes: after.closes - before.closes,
        unrecorded: after.unrecorded - before.unrecorded,
        reserved: [0; 3],
    };
    Some(Forwarded { backend, counted })
}

pub(super) fn stay_on_this_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu());
    sched_setaffinity(None, &cpus).unwrap_or_else(|e| panic!("sched_setaffinity: {e}"));
}
