//! The programs and tables that are measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, ProgramArray};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use xdp_lb::config::{Affinity, Config, Forward, Protocol, Ratio, Scheduler};
use xdp_lb::control::{BackendRecord, Command, Load, NextHop, VipRecord};
use xdp_lb::datapath::{Datapath, Kernel, object};
use xdp_lb_common::bench::BenchSettings;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::limits::MAX_TABLE_SIZE;
use xdp_lb_common::slot::Slot;

use crate::cases::{Case, Program, WarmUp};
use crate::frames::Frame;

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;

/// The interface that test runs come in by, so that what is forwarded goes back.
const LOOPBACK: u32 = 1;

/// Backends of each VIP.
const BACKENDS: u16 = 16;

/// What a VIP's packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Slots that never moved.
    Stable,
    /// Slots that all have moved.
    Moved,
    /// A choice between two, of which a quarter takes the second.
    Choice,
}

/// Frame, protocol and way of each VIP.
const VIPS: [(Frame, Protocol, Way); 7] = [
    (Frame::TCP4, Protocol::Tcp, Way::Stable),
    (Frame::TCP4_MOVED, Protocol::Tcp, Way::Moved),
    (Frame::TCP4_MOVED_SYN, Protocol::Tcp, Way::Moved),
    (Frame::UDP4, Protocol::Udp, Way::Stable),
    (Frame::TCP6, Protocol::Tcp, Way::Stable),
    (Frame::TCP4_TWO, Protocol::Tcp, Way::Choice),
    (Frame::TCP4_TWO_SYN, Protocol::Tcp, Way::Choice),
];

const CONFIG: &str = "
    [agent]
    interfaces = [\"lo\"]
    max_vips = 16
    max_backends = 256
    flow_insert_limit = 4294967295
";

pub(crate) struct Bed {
    kernel: Kernel,
    bench: Ebpf,
}

impl Bed {
    pub(crate) fn new() -> Result<Self> {
        let config = Config::from_toml(CONFIG, Path::new("bench.toml"))
            .map_err(|errors| anyhow::anyhow!("{errors}"))?;
        let (mut kernel, _) = Kernel::load(&config.agent, None)?;
        for command in tables() {
            kernel.apply(&command)?;
        }
        let mut bench = EbpfLoader::new().load(object::BENCH)?;
        for name in ["wrapper", "pass_floor", "push_floor"] {
            program(&mut bench, name)?.load()?;
        }
        Ok(Self { kernel, bench })
    }

    /// Sees to it that the thousandth run does what the first did, and what the case is about.
    pub(crate) fn verify(&mut self, case: &Case) -> Result<()> {
        let mut outputs = Vec::new();
        for repeat in [1, 1000] {
            self.choose(case, 1)?;
            let mut output = vec![0; 256];
            let (action, length) = self.run(case, repeat, Some(&mut output))?.0;
            output.truncate(length as usize);
            outputs.push((action, output));
        }
        ensure!(outputs[0] == outputs[1], "run 1000 differs from run 1: {outputs:02x?}");
        let expected = match case.program {
            Program::PushFloor => XDP_TX,
            Program::Balancer if case.frame.vip != Frame::OTHER.vip => XDP_TX,
            _ => XDP_PASS,
        };
        ensure!(outputs[0].0 == expected, "the program returns {}, not {expected}", outputs[0].0);
        Ok(())
    }

    /// Nanoseconds per packet, averaged by the kernel over `packets`.
    pub(crate) fn measure(&mut self, case: &Case, packets: u32) -> Result<u64> {
        self.warm_up(case)?;
        let ((action, _), nanoseconds) = self.run(case, packets, None)?;
        ensure!(action != 0, "case {}: a run was aborted", case.name);
        Ok(nanoseconds)
    }

    fn warm_up(&mut self, case: &Case) -> Result<()> {
        if case.warm_up == WarmUp::Purge {
            for (vip, (frame, ..)) in
                VIPS.iter().enumerate().filter(|(_, (frame, ..))| frame.vip == case.frame.vip)
            {
                for backend in 0..BACKENDS {
                    self.kernel.apply(&Command::PurgeFlows(backend_id(vip, backend)))?;
                }
                ensure!(frame.protocol == case.frame.protocol);
            }
        }
        // Where every client has been seen before, the tables are as warm as they will be.
        let packets = if case.warm_up == WarmUp::EveryClient { case.clients } else { 1000 };
        self.choose(case, case.clients)?;
        self.run(case, packets, None).map(drop)
    }

    /// Puts the case's program under test, and tells the wrapper how to make its frame anew.
    fn choose(&mut self, case: &Case, clients: u32) -> Result<()> {
        let under_test = match case.program {
            Program::Balancer => self.kernel.program()?.fd()?.try_clone()?,
            Program::PassFloor => program(&mut self.bench, "pass_floor")?.fd()?.try_clone()?,
            Program::PushFloor => program(&mut self.bench, "push_floor")?.fd()?.try_clone()?,
        };
        let map = self.bench.map_mut("UNDER_TEST").context("no map UNDER_TEST")?;
        ProgramArray::try_from(map)?.set(0, &under_test, 0)?;
        let map = self.bench.map_mut("BENCH_SETTINGS").context("no map BENCH_SETTINGS")?;
        let mut settings: Array<_, BenchSettings> = map.try_into()?;
        // Runs go on counting, so that clients that shall be new are.
        let runs = settings.get(&0, 0)?.runs;
        settings.set(0, BenchSettings { runs, ..case.frame.settings(clients) }, 0)?;
        Ok(())
    }

    /// What the last run returned, its frame's length, and nanoseconds per run.
    fn run(&mut self, case: &Case, repeat: u32, output: Option<&mut [u8]>) -> Result<((u32, u32), u64)> {
        let frame = case.frame.bytes();
        let options =
            TestRunOptions { data_in: Some(&frame), data_out: output, repeat, ..TestRunOptions::default() };
        let result = program(&mut self.bench, "wrapper")?.test_run(options)?;
        Ok(((result.return_value, result.data_size_out), result.duration.as_nanos() as u64))
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name).with_context(|| format!("no program {name} in the object"))?;
    Ok(program.try_into()?)
}

fn tables() -> Vec<Command> {
    let mut commands = Vec::new();
    for (vip, &(frame, _, way)) in VIPS.iter().enumerate() {
        commands
            .extend((0..BACKENDS).map(|n| Command::WriteBackend(backend(vip, n, frame.address().is_ipv4()))));
        let slot = |position: u32| {
            let base = backend_id(vip, (position % u32::from(BACKENDS)) as u16);
            let other = backend_id(vip, ((position + 1) % u32::from(BACKENDS)) as u16);
            (position, if way == Way::Moved { Slot::tracked(base, other) } else { Slot::stable(base) })
        };
        commands
            .push(Command::WriteSlots { vip: vip_id(vip), changes: (0..MAX_TABLE_SIZE).map(slot).collect() });
        let load = |n: u16| (backend_id(vip, n), Load { standing: u32::from(n % 2) << 31, per_flow: 1 });
        commands.push(Command::WriteLoads((0..BACKENDS).map(load).collect()));
    }
    commands.push(Command::WriteDirectory(
        VIPS.iter().enumerate().map(|(vip, of)| vip_record(vip, of)).collect(),
    ));
    commands
}

fn vip_id(vip: usize) -> VipId {
    VipId::new(vip as u16)
}

fn backend_id(vip: usize, backend: u16) -> BackendId {
    let index = 1 + vip as u16 * BACKENDS + backend;
    BackendId::new(index).unwrap_or_else(|| unreachable!("{index} is a backend id"))
}

fn vip_record(vip: usize, &(frame, protocol, way): &(Frame, Protocol, Way)) -> VipRecord {
    VipRecord {
        vip: vip_id(vip),
        address: frame.address(),
        port: 80,
        protocol,
        table_size: MAX_TABLE_SIZE,
        affinity: Affinity::None,
        scheduler: match way {
            Way::Choice => Scheduler::P2c { margin: Ratio::thousandths(250) },
            Way::Stable | Way::Moved => Scheduler::Maglev,
        },
    }
}

fn backend(vip: usize, backend: u16, v4: bool) -> BackendRecord {
    let host = 1 + backend as u8;
    let address: IpAddr = match v4 {
        true => Ipv4Addr::new(10, 1, vip as u8, host).into(),
        false => Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, vip as u16, host.into()).into(),
    };
    let (source_mac, destination_mac) = ([2; 6], [4; 6]);
    let hop = NextHop { egress: LOOPBACK, source_mac, destination_mac, mtu: 1500, via_gateway: false };
    BackendRecord {
        backend: backend_id(vip, backend),
        vip: vip_id(vip),
        address,
        forward: Forward::Ipip,
        down: false,
        next_hop: Some(hop),
    }
}
