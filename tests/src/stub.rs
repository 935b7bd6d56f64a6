//! An XDP program that passes everything, on the other end of a veth pair.
//!
//! A veth hands frames that a program sent back (XDP_TX) over only to a peer that has a program of its own: with GRO
//! alone the peer has a ring for them, but is not woken (`veth_xdp_flush` asks for `xdp_prog`).

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;

use crate::netns::Netns;

/// The attached program. Dropping it detaches it.
#[derive(Debug)]
pub struct Stub(#[expect(dead_code, reason = "held for what its end does")] Ebpf);

impl Stub {
    /// Attaches it to `interface` of `netns`.
    pub fn attach(netns: &Netns, interface: &str) -> Result<Self> {
        netns.run_in(|| {
            let mut ebpf =
                Ebpf::load(xdp_lb::datapath::object::BENCH).context("load the pass-through program")?;
            let program = ebpf.program_mut("pass_floor").context("no program pass_floor in the object")?;
            let program: &mut Xdp = program.try_into()?;
            program.load()?;
            program
                .attach(interface, XdpMode::Driver)
                .with_context(|| format!("attach the pass-through program to {interface}"))?;
            Ok(Self(ebpf))
        })
    }
}
