//! What backends of a VIP that chooses between two are worth to the kernel's choice, published whenever it changes.
//!
//! Both numbers are in the same unit, [`FLOW`] for a connection in flight on a server of the VIP's mean weight. A server
//! of twice the weight counts half for each connection. A server that reports utilization `u` counts `1 / (1 − u)` times
//! as much for each, which is how waiting times grow (M/M/1), and `u` of a connection beside: so of two servers without
//! any connection of ours, the one less busy with others' is taken.

use std::collections::BTreeMap;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::{Command, Control, Load};
use crate::config::Scheduler;

/// What one connection in flight counts on a server of mean weight that reports nothing.
const FLOW: f64 = 1024.0;

/// Utilizations from here on count as the same: what is left is noise of the measure.
const MOST_UTILIZATION: f64 = 0.95;

/// What a server is worth. `share` is its effective weight over the mean of its VIP's servers that have any, and
/// `utilization` what it reports; without that it is taken for `usual`, the mean of those that do.
pub(super) fn load(share: f64, utilization: Option<f64>, usual: f64) -> Load {
    let utilization = utilization.unwrap_or(usual).clamp(0.0, MOST_UTILIZATION);
    let per_flow = FLOW / share / (1.0 - utilization);
    Load {
        standing: (FLOW * utilization).round() as u32,
        // Saturates: a server without weight is the last to be taken. Zero would mean that nothing is published.
        per_flow: (per_flow.round() as u32).max(1),
    }
}

impl Control {
    /// Publishes the loads that are not what the kernel has.
    pub(super) fn publish_loads(&mut self, now: Instant, out: &mut Vec<Command>) {
        let loads: BTreeMap<BackendId, Load> =
            self.vips.keys().flat_map(|&vip| self.loads_of(vip, now)).collect();
        let changed: Vec<(BackendId, Load)> = loads
            .iter()
            .filter(|(id, load)| self.loads.get(id) != Some(load))
            .map(|(&id, &load)| (id, load))
            .collect();
        self.loads = loads;
        if !changed.is_empty() {
            out.push(Command::WriteLoads(changed));
        }
    }

    /// What each backend of a VIP is worth, if the VIP chooses between two.
    fn loads_of(&self, id: VipId, now: Instant) -> Vec<(BackendId, Load)> {
        let Some(vip) = self.vips.get(&id) else { return Vec::new() };
        if !matches!(vip.config.scheduler, Scheduler::P2c { .. }) {
            return Vec::new();
        }
        let members = vip.members.values().filter_map(|&id| Some((id, self.backends.get(id)?)));
        let servers: Vec<(BackendId, f64, Option<f64>)> = members
            .map(|(id, backend)| {
                (id, backend.table_weight(), backend.utilization(&vip.config.utilization, now))
            })
            .collect();
        let share_of = mean(servers.iter().map(|(_, weight, _)| *weight).filter(|weight| *weight > 0.0));
        let usual = mean(servers.iter().filter_map(|(.., utilization)| *utilization)).unwrap_or(0.0);
        let share = |weight: f64| weight / share_of.unwrap_or(1.0);
        servers.into_iter().map(|(id, weight, used)| (id, load(share(weight), used, usual))).collect()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, backend, config, start, unchecked, vip};
    use super::super::{Counters, Event};
    use super::*;
    use crate::config::{Config, Ratio, Vip};

    #[test]
    fn loads_fall_with_weight_and_rise_with_utilization() {
        let near = |got: Load, standing: u32, per_flow: u32| assert_eq!(got, Load { standing, per_flow });
        near(load(1.0, None, 0.0), 0, 1024);
        near(load(2.0, None, 0.0), 0, 512);
        near(load(0.25, None, 0.0), 0, 4096);
        near(load(1.0, Some(0.5), 0.0), 512, 2048);
        near(load(1.0, None, 0.5), 512, 2048);
        near(load(2.0, Some(0.0), 0.5), 0, 512);
        near(load(1.0, Some(1.0), 0.0), 973, 20_480);
        near(load(0.0, None, 0.0), 0, u32::MAX);
        near(load(f64::INFINITY, None, 0.0), 0, 1);
    }

    #[test]
    fn loads_never_fall_as_utilization_rises() {
        for share in [0.01, 1.0, 30.0] {
            let loads: Vec<Load> = (0..=100).map(|u| load(share, Some(f64::from(u) / 100.0), 0.0)).collect();
            for pair in loads.windows(2) {
                assert!(pair[0].standing <= pair[1].standing && pair[0].per_flow <= pair[1].per_flow);
            }
        }
    }

    fn p2c(weights: &[u16]) -> Vip {
        let margin = Ratio::thousandths(250);
        let backends = (1..).zip(weights).map(|(last, &weight)| backend(last, weight)).collect();
        Vip { scheduler: Scheduler::P2c { margin }, ..vip(unchecked(), backends) }
    }

    fn published(control: &mut Control, event: Event, second: u64) -> Vec<(u16, Load)> {
        let commands = control.handle(event, at(second));
        let loads = commands.into_iter().filter_map(|command| match command {
            Command::WriteLoads(loads) => Some(loads),
            _ => None,
        });
        loads.flatten().map(|(id, load)| (id.raw(), load)).collect()
    }

    fn counted(control: &mut Control, second: u64) -> Vec<(u16, Load)> {
        published(control, Event::Counted(Counters::default()), second)
    }

    fn configured(config: Config) -> Event {
        Event::Configured(Box::new(config))
    }

    fn flow(per_flow: u32) -> Load {
        Load { standing: 0, per_flow }
    }

    #[test]
    fn they_are_published_once_and_again_when_they_change() {
        let (mut control, _) = Control::new(config(vec![p2c(&[100, 300])]), None, None, 1, start());
        assert_eq!(counted(&mut control, 1), [(1, flow(2048)), (2, flow(683))]);
        assert_eq!(counted(&mut control, 2), []);
        let changed = configured(config(vec![p2c(&[100, 100])]));
        assert_eq!(published(&mut control, changed, 3), [(1, flow(1024)), (2, flow(1024))]);
        assert_eq!(counted(&mut control, 4), []);
        let drained = configured(config(vec![p2c(&[100, 0])]));
        assert_eq!(published(&mut control, drained, 4), [(2, flow(u32::MAX))]);
    }

    #[test]
    fn whoever_takes_over_an_id_is_published_anew() {
        // Room for one, so that its id is used again at once.
        let room = |vips| {
            let mut config = config(vips);
            config.agent.max_backends = 1;
            config
        };
        let (mut control, _) = Control::new(room(vec![p2c(&[100])]), None, None, 1, start());
        assert_eq!(counted(&mut control, 1), [(1, flow(1024))]);
        assert_eq!(published(&mut control, configured(room(vec![])), 2), []);
        let again = configured(room(vec![p2c(&[100])]));
        assert_eq!(published(&mut control, again, 2), [(1, flow(1024))]);
    }

    #[test]
    fn other_vips_publish_nothing() {
        let other = Vip { scheduler: Scheduler::Maglev, ..p2c(&[100, 100]) };
        let (mut control, _) = Control::new(config(vec![other]), None, None, 1, start());
        assert_eq!(counted(&mut control, 1), []);
    }

    #[test]
    fn slots_are_looked_up_for_what_was_recorded_when_the_choice_ends() {
        let other = Vip { scheduler: Scheduler::Maglev, ..p2c(&[100, 100]) };
        let (mut control, _) = Control::new(config(vec![p2c(&[100, 100])]), None, None, 1, start());
        let commands = control.handle(configured(config(vec![other])), at(1));
        let [Command::WriteSlots { changes, .. }, Command::WriteDirectory(_)] = &commands[..] else {
            unreachable!("{commands:?}")
        };
        assert_eq!(changes.len(), 251);
        assert!(changes.iter().all(|(_, slot)| slot.is_tracked() && !slot.is_moved()));
    }
}
