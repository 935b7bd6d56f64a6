//! What is answered at `[admin] listen`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::asker::now;
use super::observe;
use super::serve::Server;
use super::shed::Shedder;
use super::site::Site;
use super::upstream::PoolStatus;
use crate::api::exposition::Page;
use crate::api::web::{METRICS_TYPE, page, text};

/// What became of reloads, and whether requests are taken.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub ready: AtomicBool,
    pub done: AtomicU64,
    pub refused: AtomicU64,
}

/// What pages are made of.
pub(super) struct Pages {
    pub site: Arc<ArcSwap<Site>>,
    pub server: Arc<Server>,
    pub shedder: Arc<Shedder>,
    pub outcomes: Arc<Outcomes>,
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    ready: bool,
    in_flight: u32,
    listeners: Vec<ListenerStatus>,
    pools: Vec<PoolStatus>,
}

#[derive(Serialize)]
struct ListenerStatus {
    name: String,
    address: std::net::SocketAddr,
}

impl Pages {
    pub(super) fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/metrics" => page(StatusCode::OK, METRICS_TYPE, self.metrics()),
            "/status" => match serde_json::to_string_pretty(&self.status()) {
                Ok(status) => page(StatusCode::OK, "application/json", status),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.outcomes.ready.load(Relaxed) => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready: about to start or to end\n"),
            "/" => text(StatusCode::OK, "xdp-lb gateway: see /metrics, /status, /healthz and /readyz\n"),
            _ => text(StatusCode::NOT_FOUND, "there is /metrics, /status, /healthz and /readyz\n"),
        }
    }

    fn status(&self) -> Status {
        let listeners = self.server.addresses().into_iter();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: self.outcomes.ready.load(Relaxed),
            in_flight: self.shedder.in_flight(),
            listeners: listeners
                .map(|(name, address)| ListenerStatus { name: name.to_string(), address })
                .collect(),
            pools: self.site.load().pools.status(now().0),
        }
    }

    fn metrics(&self) -> String {
        let site = self.site.load();
        observe::render(&site.observer.meters, |page| {
            self.process(page, site.observer.lost());
            self.connections(page);
            servers(page, &site.pools.status(now().0));
        })
    }

    fn process(&self, page: &mut Page, (lines, spans): (u64, u64)) {
        page.family("gateway_ready", "gauge", "1 while requests are taken.");
        page.sample("gateway_ready", &[], u8::from(self.outcomes.ready.load(Relaxed)));
        page.family("gateway_in_flight", "gauge", "Requests in flight.");
        page.sample("gateway_in_flight", &[], self.shedder.in_flight());
        page.family(
            "gateway_reloads_total",
            "counter",
            "Times the configuration was read again, by outcome.",
        );
        let (done, refused) = (&self.outcomes.done, &self.outcomes.refused);
        page.sample("gateway_reloads_total", &[("outcome", "done")], done.load(Relaxed));
        page.sample("gateway_reloads_total", &[("outcome", "refused")], refused.load(Relaxed));
        page.family(
            "gateway_log_lines_lost_total",
            "counter",
            "Lines of the access log that were not written.",
        );
        page.sample("gateway_log_lines_lost_total", &[], lines);
        page.family("gateway_spans_lost_total", "counter", "Spans that the collector did not take.");
        page.sample("gateway_spans_lost_total", &[], spans);
    }

    fn connections(&self, page: &mut Page) {
        let counts = self.server.connections();
        for (name, kind, help, value) in [
            ("accepted_total", "counter", "Connections accepted.", counts.accepted),
            ("open", "gauge", "Connections open.", counts.open),
            ("parked", "gauge", "Connections open without anything going on.", counts.parked),
            ("handshakes_failed_total", "counter", "TLS handshakes that failed.", counts.handshakes_failed),
            (
                "proxy_errors_total",
                "counter",
                "Connections without a valid PROXY header.",
                counts.proxy_errors,
            ),
            ("resets_total", "counter", "Streams reset by clients.", counts.resets),
            (
                "reset_floods_total",
                "counter",
                "Connections closed for resetting too many, or for frames that carry nothing.",
                counts.reset_floods,
            ),
            ("stalled_total", "counter", "Connections cut as their client took nothing.", counts.stalled),
            (
                "slow_heads_total",
                "counter",
                "Connections of HTTP/2 closed as what had begun did not go on.",
                counts.slow_heads,
            ),
            ("accept_errors_total", "counter", "Times none could be accepted.", counts.accept_errors),
        ] {
            let name = format!("gateway_connections_{name}");
            page.family(&name, kind, help);
            page.sample(&name, &[], value);
        }
    }
}

fn servers(page: &mut Page, pools: &[PoolStatus]) {
    page.family("gateway_pool_in_flight", "gauge", "Requests of a pool in flight.");
    for pool in pools {
        page.sample("gateway_pool_in_flight", &[("pool", &pool.name)], pool.in_flight);
    }
    page.family("gateway_pool_pending", "gauge", "Requests that wait for one of a pool's to end.");
    for pool in pools {
        page.sample("gateway_pool_pending", &[("pool", &pool.name)], pool.pending);
    }
    page.family("gateway_pool_panic", "gauge", "1 while health is ignored, as most of a pool is down.");
    for pool in pools {
        page.sample("gateway_pool_panic", &[("pool", &pool.name)], u8::from(pool.panic));
    }
    page.family("gateway_server_score", "gauge", "What requests are compared by: the less, the better.");
    each(pools, |labels, server| page.sample("gateway_server_score", labels, server.score.score));
    page.family("gateway_server_factor", "gauge", "The parts of a server's score.");
    each(pools, |labels, server| {
        for factor in &server.score.factors {
            let [pool, name] = *labels;
            page.sample("gateway_server_factor", &[pool, name, ("factor", &factor.name)], factor.value);
        }
    });
    page.family("gateway_server_share", "gauge", "Chance of each draw, 0 to 1.");
    each(pools, |labels, server| page.sample("gateway_server_share", labels, server.score.share));
    page.family("gateway_server_in_flight", "gauge", "Requests in flight at a server.");
    each(pools, |labels, server| page.sample("gateway_server_in_flight", labels, server.score.in_flight));
    page.family("gateway_server_state", "gauge", "Always 1; the label says the server's state.");
    each(pools, |labels, server| {
        let [pool, name] = *labels;
        page.sample("gateway_server_state", &[pool, name, ("state", &server.score.state)], 1);
    });
}

fn each(pools: &[PoolStatus], mut with: impl FnMut(&[(&str, &str); 2], &super::upstream::ServerStatus)) {
    for pool in pools {
        for server in &pool.servers {
            with(&[("pool", &pool.name), ("server", &server.name)], server);
        }
    }
}
