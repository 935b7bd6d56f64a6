//! What a new configuration does that its author may not expect.

use super::vip::key_of;
use super::{Announcement, Command, Control};
use crate::config::{self, Config};

impl Control {
    /// `[agent]` is read at the start only: says so where it changed, and keeps what is in force.
    pub(super) fn keep_start_settings(&mut self, config: &mut Config, out: &mut Vec<Command>) {
        let (old, new) = (&self.config.agent, &config.agent);
        let changed = [
            ("agent.interfaces", old.interfaces != new.interfaces),
            ("agent.xdp_mode", old.xdp_mode != new.xdp_mode),
            ("agent.state_dir", old.state_dir != new.state_dir),
            ("agent.control_socket", old.control_socket != new.control_socket),
            ("agent.pin_dir", old.pin_dir != new.pin_dir),
            ("agent.max_vips", old.max_vips != new.max_vips),
            ("agent.max_backends", old.max_backends != new.max_backends),
            ("agent.table_size", old.table_size != new.table_size),
            ("agent.flow_entries", old.flow_entries != new.flow_entries),
            ("agent.flow_idle", old.flow_idle != new.flow_idle),
            ("agent.flow_insert_limit", old.flow_insert_limit != new.flow_insert_limit),
            ("agent.icmp_limit", old.icmp_limit != new.icmp_limit),
            ("agent.hash_seed", old.hash_seed != new.hash_seed),
            ("agent.tunnel_source_v4", old.tunnel_source_v4 != new.tunnel_source_v4),
            ("agent.tunnel_source_v6", old.tunnel_source_v6 != new.tunnel_source_v6),
        ];
        for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
            let what = format!("{key} changed: ignored until xdp-lb is restarted");
            out.push(Command::Announce(Announcement {
                vip: String::new(),
                backend: None,
                what,
                warning: true,
            }));
        }
        config.agent = self.config.agent.clone();
    }

    /// A VIP for one port takes that port from one for any port of the same address, and gives it back when it goes:
    /// at once, for nothing is recorded of the connections there.
    pub(super) fn warn_of_ports_that_change_hands(&self, out: &mut Vec<Command>) {
        let of_any_port = |vip: &config::Vip| (vip.address, 0, vip.protocol);
        let mut warn = |vip: &config::Vip, what: String| {
            let vip = vip.name.clone();
            out.push(Command::Announce(Announcement { vip, backend: None, what, warning: true }));
        };
        for vip in self.config.vips.iter().filter(|vip| vip.port != 0) {
            let any = self.keys.get(&of_any_port(vip)).and_then(|id| self.vips.get(id));
            if let Some(any) = any.filter(|_| !self.keys.contains_key(&key_of(vip))) {
                let (port, any) = (vip.port, &any.config.name);
                warn(
                    vip,
                    format!("takes port {port} from {any}: open connections to that port are not kept"),
                );
            }
        }
        for vip in self.vips.values().map(|vip| &vip.config).filter(|vip| vip.port != 0) {
            let stays = self.config.vips.iter().any(|new| key_of(new) == key_of(vip));
            let any = self.config.vips.iter().find(|new| key_of(new) == of_any_port(vip));
            if let Some(any) = any.filter(|_| !stays) {
                let (port, any) = (vip.port, &any.name);
                warn(vip, format!("gives port {port} to {any}: open connections to that port are not kept"));
            }
        }
    }
}
