//! Whose program is on an interface that is taken, and what takes it off: the tool differs by how it was attached.

use std::fmt;

use aya::programs::links::LinkType;
use aya::programs::{loaded_links, loaded_programs};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};

use super::netlink;

/// Who has an interface, as far as the kernel tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    interface: String,
    /// Name of its program.
    program: Option<String>,
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    /// By a link of this number; `ip` cannot end it.
    Link(u32),
    /// By netlink, as `ip` does it.
    Native,
    Generic,
    #[default]
    Unknown,
}

impl Holder {
    /// Asks the kernel about the interface called `name`.
    pub(super) fn of(name: &str, index: u32) -> Self {
        let unknown = Self { interface: name.into(), ..Self::default() };
        let Some((program, generic)) = program_on(index) else { return unknown };
        let mut links = loaded_links().filter_map(Result::ok).filter(|link| {
            link.program_id() == program && link.link_type().is_ok_and(|kind| kind == LinkType::Xdp)
        });
        let held = match (links.next(), links.next()) {
            (None, _) if generic => Held::Generic,
            (None, _) => Held::Native,
            (Some(link), None) => Held::Link(link.id()),
            // One program on several interfaces: which link is on which is not told.
            (Some(_), Some(_)) => Held::Unknown,
        };
        let found = loaded_programs().filter_map(Result::ok).find(|info| info.id() == program);
        Self { program: found.and_then(|info| info.name_as_str().map(str::to_owned)), held, ..unknown }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, program, held } = self;
        write!(f, "interface {interface} already has an XDP program")?;
        match program.as_deref() {
            Some(name @ ("xdp_lb" | "xdp_lb_decap")) => write!(
                f,
                ", {name}: of another xdp-lb, with another pin_dir. Stop that one, or where none runs, take it off: "
            )?,
            Some(name) => write!(f, ", {name}; take it off: ")?,
            None => write!(f, "; take it off: ")?,
        }
        match held {
            Held::Link(id) => write!(f, "`bpftool link detach id {id}`"),
            Held::Native => write!(f, "`ip link set dev {interface} xdp off`"),
            Held::Generic => write!(f, "`ip link set dev {interface} xdpgeneric off`"),
            Held::Unknown => write!(
                f,
                "`ip link set dev {interface} xdp off`, or `bpftool link detach id ID` where `bpftool link show` \
                 lists it"
            ),
        }
    }
}

/// Number of the program on an interface, and whether it is a generic one.
fn program_on(index: u32) -> Option<(u32, bool)> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    let Ok(RouteNetlinkMessage::NewLink(link)) = netlink::ask(RouteNetlinkMessage::GetLink(link)) else {
        return None;
    };
    let xdp = link.attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => Some(xdp),
        _ => None,
    })?;
    let program = xdp.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    })?;
    Some((program, xdp.contains(&LinkXdp::Attached(XdpAttached::SocketBuffer))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_attaching_has_its_way_off() {
        for (held, program, words) in [
            (Held::Link(7), Some("xdp_lb"), ["another xdp-lb", "bpftool link detach id 7`"]),
            (Held::Link(7), Some("filter"), [", filter;", "bpftool link detach id 7`"]),
            (Held::Native, Some("filter"), [", filter;", "dev eth0 xdp off`"]),
            (Held::Generic, None, ["XDP program;", "dev eth0 xdpgeneric off`"]),
            (Held::Unknown, None, ["xdp off`", "bpftool link show"]),
        ] {
            let holder = Holder { interface: "eth0".into(), program: program.map(Into::into), held };
            let text = holder.to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }
}
