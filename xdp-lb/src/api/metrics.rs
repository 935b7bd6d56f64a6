//! A status in Prometheus' text format (version 0.0.4).

use super::exposition::Page;
use crate::control::{BackendStatus, ReportsStatus, Status, VipStatus};

/// The whole page.
pub(super) fn render(status: &Status) -> String {
    let mut page = Page::default();
    page.family("build_info", "gauge", "Always 1; the labels say which agent this is.");
    page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);

    page.family("interface_info", "gauge", "Always 1; where the XDP program is attached, and how.");
    for interface in &status.interfaces {
        page.sample("interface_info", &[("interface", &interface.name), ("mode", &interface.mode)], 1);
    }
    page.family("flows", "gauge", "Recorded flows that are live.");
    page.sample("flows", &[], status.flows);
    page.family("flow_capacity", "gauge", "Room for recorded flows.");
    page.sample("flow_capacity", &[], status.flow_capacity);
    page.family(
        "packets_total",
        "counter",
        "Packets by what became of them and why; reasons without packets are left out.",
    );
    for reason in &status.reasons {
        page.sample(
            "packets_total",
            &[("outcome", &reason.outcome), ("reason", &reason.name)],
            reason.packets,
        );
    }
    vips(&mut page, &status.vips);
    backends(&mut page, &status.vips);
    weights(&mut page, &status.vips);
    page.text()
}

fn vips(page: &mut Page, vips: &[VipStatus]) {
    page.family("vip_info", "gauge", "Always 1; what the VIP is.");
    for vip in vips {
        let (address, port) = (vip.address.to_string(), vip.port.to_string());
        let labels = [
            ("vip", vip.name.as_str()),
            ("address", &address),
            ("port", &port),
            ("protocol", &vip.protocol),
            ("forward", &vip.forward),
        ];
        page.sample("vip_info", &labels, 1);
    }
    type Figure = (&'static str, &'static str, &'static str, fn(&VipStatus) -> u64);
    const FIGURES: [Figure; 7] = [
        ("vip_packets_total", "counter", "Packets forwarded.", |vip| vip.traffic.packets),
        ("vip_bytes_total", "counter", "Bytes forwarded, from the Ethernet header.", |vip| vip.traffic.bytes),
        ("vip_new_flows_total", "counter", "New connections.", |vip| vip.traffic.new_flows),
        ("vip_closes_total", "counter", "FINs and RSTs of clients.", |vip| vip.traffic.closes),
        ("vip_slots", "gauge", "Slots of the VIP's table.", |vip| u64::from(vip.slots)),
        ("vip_moved_slots", "gauge", "Slots whose old and new backend differ.", |vip| {
            u64::from(vip.moved_slots)
        }),
        ("vip_tracked_slots", "gauge", "Slots in which flows are looked up.", |vip| {
            u64::from(vip.tracked_slots)
        }),
    ];
    for (name, kind, help, figure) in FIGURES {
        page.family(name, kind, help);
        for vip in vips {
            page.sample(name, &[("vip", &vip.name)], figure(vip));
        }
    }
}

fn backends(page: &mut Page, vips: &[VipStatus]) {
    type Figure = (&'static str, &'static str, &'static str, fn(&BackendStatus) -> f64);
    const GAUGES: [Figure; 5] = [
        ("backend_up", "gauge", "1 while the backend passes its health checks.", |backend| {
            f64::from(u8::from(matches!(backend.state.as_str(), "up" | "draining")))
        }),
        ("backend_weight", "gauge", "Weight as configured.", |backend| f64::from(backend.weight)),
        (
            "backend_effective_weight",
            "gauge",
            "Weight in effect: as configured, times its factors.",
            |backend| backend.effective_weight,
        ),
        ("backend_share", "gauge", "Share of the VIP's new connections, 0 to 1.", |backend| backend.share),
        ("backend_next_hop_resolved", "gauge", "1 while the way to the backend is known.", |backend| {
            f64::from(u8::from(backend.next_hop == "resolved"))
        }),
    ];
    for (name, kind, help, figure) in GAUGES {
        page.family(name, kind, help);
        each_backend(vips, |labels, backend| page.sample(name, labels, figure(backend)));
    }
    page.family("backend_state", "gauge", "Always 1; the label says the backend's state.");
    each_backend(vips, |labels, backend| {
        let [vip, name, address] = *labels;
        page.sample("backend_state", &[vip, name, address, ("state", &backend.state)], 1);
    });
    type Count = (&'static str, &'static str, &'static str, fn(&BackendStatus) -> u64);
    const COUNTS: [Count; 5] = [
        ("backend_flows", "gauge", "Recorded flows that are live.", |backend| backend.flows),
        ("backend_packets_total", "counter", "Packets forwarded.", |backend| backend.traffic.packets),
        ("backend_bytes_total", "counter", "Bytes forwarded, from the Ethernet header.", |backend| {
            backend.traffic.bytes
        }),
        ("backend_new_flows_total", "counter", "New connections.", |backend| backend.traffic.new_flows),
        ("backend_closes_total", "counter", "FINs and RSTs of clients.", |backend| backend.traffic.closes),
    ];
    for (name, kind, help, figure) in COUNTS {
        page.family(name, kind, help);
        each_backend(vips, |labels, backend| page.sample(name, labels, figure(backend)));
    }
}

fn weights(page: &mut Page, vips: &[VipStatus]) {
    page.family(
        "backend_weight_factor",
        "gauge",
        "What the configured weight is multiplied by, factor by factor.",
    );
    each_backend(vips, |&[vip, name, address], backend| {
        for factor in &backend.factors {
            let labels = [vip, name, address, ("factor", factor.name.as_str())];
            page.sample("backend_weight_factor", &labels, factor.value);
        }
    });
    type Figure = (&'static str, &'static str, &'static str, fn(&ReportsStatus) -> Option<f64>);
    const FIGURES: [Figure; 3] = [
        ("backend_utilization", "gauge", "Utilization as last reported, 0 to 1.", |reports| {
            reports.utilization
        }),
        ("backend_report_age_seconds", "gauge", "Seconds since the last report that counted.", |reports| {
            reports.age_seconds
        }),
        ("backend_reports_total", "counter", "Reports that counted.", |reports| {
            Some(reports.accepted as f64)
        }),
    ];
    for (name, kind, help, figure) in FIGURES {
        page.family(name, kind, help);
        each_backend(vips, |labels, backend| {
            if let Some(value) = backend.reports.as_ref().and_then(figure) {
                page.sample(name, labels, value);
            }
        });
    }
    page.family("backend_reports_refused_total", "counter", "Reports that did not count, by reason.");
    each_backend(vips, |&[vip, name, address], backend| {
        for refused in backend.reports.iter().flat_map(|reports| &reports.refused) {
            let labels = [vip, name, address, ("reason", refused.reason.as_str())];
            page.sample("backend_reports_refused_total", &labels, refused.reports);
        }
    });
}

/// Calls `with` for each backend and its labels. The address is one of them: a removed backend and a new one may have
/// the same name for a while, and no two samples may have the same labels.
fn each_backend(vips: &[VipStatus], mut with: impl FnMut(&[(&str, &str); 3], &BackendStatus)) {
    for vip in vips {
        for backend in &vip.backends {
            let address = backend.address.to_string();
            with(&[("vip", &vip.name), ("backend", &backend.name), ("address", &address)], backend);
        }
    }
}

#[cfg(test)]
mod tests;
