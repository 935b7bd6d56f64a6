//! The interfaces that a program is on: put there together, watched from then on.

use aya::programs::Xdp;

use super::InterfaceChange;
use super::interface::{self, Interface};
use super::link::{self, Attached, LinkError};
use super::pins::{Pins, PinsError};
use crate::config::XdpMode;
use crate::control::InterfaceStatus;

/// The interfaces, in configured order.
pub(super) struct Ports {
    mode: XdpMode,
    ports: Vec<Port>,
}

struct Port {
    name: String,
    state: State,
}

enum State {
    On(Attached),
    /// There is no interface of that name, or none that can be used: what was said last about it.
    Gone(Option<String>),
}

impl Ports {
    /// None.
    pub(super) fn none() -> Self {
        Self { mode: XdpMode::Auto, ports: Vec::new() }
    }

    /// Puts `program` on all of them. Where that fails, [`Pins::undo`] takes it off again.
    pub(super) fn attach(
        program: &mut Xdp,
        interfaces: Vec<Interface>,
        mode: XdpMode,
        pins: &Pins,
    ) -> Result<Self, LinkError> {
        let mut ports = Vec::new();
        for interface in interfaces {
            let name = interface.name.clone();
            let attached = Attached::new(program, interface, mode, pins.folder())?;
            ports.push(Port { name, state: State::On(attached) });
        }
        Ok(Self { mode, ports })
    }

    /// Takes earlier programs off interfaces that are not among these.
    pub(super) fn clear_others(&self, pins: &Pins) -> Result<(), PinsError> {
        let keep: Vec<_> = self.attached().map(Attached::pin).collect();
        pins.remove_links_but(&keep)
    }

    /// Notices interfaces that are gone, and puts `program` on those that are back. To be called every second or so.
    pub(super) fn watch(&mut self, program: &mut Xdp, pins: &Pins) -> Vec<InterfaceChange> {
        let mut changes = Vec::new();
        for port in &mut self.ports {
            // Where the kernel does not tell, it is asked again.
            let Ok(index) = interface::index_of(&port.name) else { continue };
            if let State::On(attached) = &port.state {
                if index == Some(attached.interface().index) {
                    continue;
                }
                // It may have gone to another namespace, program and all.
                let _ = link::detach(attached.pin());
                port.state = State::Gone(None);
                changes.push(port.change("gone: nothing is handled there until it is back", true));
            }
            if index.is_some() {
                changes.extend(port.bring_back(program, self.mode, pins));
            }
        }
        changes
    }

    /// Where and how.
    pub(super) fn status(&self) -> Vec<InterfaceStatus> {
        let mode = |port: &Port| match &port.state {
            State::On(attached) => attached.mode(),
            State::Gone(_) => "gone",
        };
        let status = |port: &Port| InterfaceStatus { name: port.name.clone(), mode: mode(port).into() };
        self.ports.iter().map(status).collect()
    }

    /// In which mode and why, for the log.
    pub(super) fn describe(&self) -> Vec<InterfaceChange> {
        self.attached()
            .map(|attached| {
                let (what, warning) = attached.describe();
                InterfaceChange { interface: attached.interface().name.clone(), what, warning }
            })
            .collect()
    }

    fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.ports.iter().filter_map(|port| match &port.state {
            State::On(attached) => Some(attached),
            State::Gone(_) => None,
        })
    }
}

impl Port {
    /// Says nothing where there is nothing new to say.
    fn bring_back(&mut self, program: &mut Xdp, mode: XdpMode, pins: &Pins) -> Option<InterfaceChange> {
        let attached = Interface::find(&self.name).map_err(|error| error.to_string()).and_then(|interface| {
            Attached::new(program, interface, mode, pins.folder()).map_err(|error| error.to_string())
        });
        let (state, what, warning) = match attached {
            Ok(attached) => {
                let (how, warning) = attached.describe();
                (State::On(attached), format!("back: {how}"), warning)
            }
            Err(error) => {
                let what = format!("back, but cannot be used: {error}");
                (State::Gone(Some(error)), what, true)
            }
        };
        let known = matches!((&self.state, &state), (State::Gone(before), State::Gone(now)) if before == now);
        self.state = state;
        (!known).then(|| self.change(&what, warning))
    }

    fn change(&self, what: &str, warning: bool) -> InterfaceChange {
        InterfaceChange { interface: self.name.clone(), what: what.into(), warning }
    }
}
