//! Everything counted, in Prometheus' text format.

use super::histogram::{BOUNDS, Totals};
use super::meters::{Meters, Scores};
use crate::api::exposition::Page;
use crate::gateway::contract::Unchecked;

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The page; `more` adds what others count.
pub fn render(meters: &Meters, more: impl FnOnce(&mut Page)) -> String {
    let mut page = Page::default();
    page.family("build_info", "gauge", "Always 1; the labels say which gateway this is.");
    page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let routes = meters.routes();
    answers(
        &mut page,
        "gateway_requests_total",
        "Requests answered, by route and class of status.",
        "route",
        &routes,
    );
    let help = "From a request's head to the end of its answer, by route.";
    durations(&mut page, "gateway_request_duration_seconds", help, "route", &routes);
    type Figure = (&'static str, &'static str, fn(&Scores) -> u64);
    const BYTES: [Figure; 2] = [
        ("gateway_request_bytes_total", "Bytes of requests' bodies.", |scores| scores.received),
        ("gateway_response_bytes_total", "Bytes of answers' bodies.", |scores| scores.sent),
    ];
    for (name, help, figure) in BYTES {
        page.family(name, "counter", help);
        for (route, scores) in &routes {
            page.sample(name, &[("route", route)], figure(scores));
        }
    }
    page.family(
        "gateway_answers_unchecked_total",
        "counter",
        "Answers that passed without being held against the API's description, by route and reason.",
    );
    for (route, scores) in &routes {
        for (why, count) in Unchecked::ALL.iter().zip(scores.unchecked).filter(|(_, count)| *count > 0) {
            let labels = [("route", route.as_str()), ("reason", why.word())];
            page.sample("gateway_answers_unchecked_total", &labels, count);
        }
    }
    page.family(
        "gateway_refused_total",
        "counter",
        "Requests that were not served as their senders wished, by reason.",
    );
    for (reason, count) in meters.refusals() {
        page.sample("gateway_refused_total", &[("reason", reason.word())], count);
    }
    let pools = meters.pools();
    answers(
        &mut page,
        "gateway_pool_requests_total",
        "Requests that went to a pool, by class of status.",
        "pool",
        &pools,
    );
    let help = "From a request's first try to the head of its answer, by pool.";
    durations(&mut page, "gateway_pool_duration_seconds", help, "pool", &pools);
    page.family(
        "gateway_pool_tries_total",
        "counter",
        "Tries at a pool's servers; above the requests: retries and hedges.",
    );
    for (pool, scores) in &pools {
        page.sample("gateway_pool_tries_total", &[("pool", pool)], scores.tries);
    }
    more(&mut page);
    page.text()
}

fn answers(page: &mut Page, name: &str, help: &str, label: &str, all: &[(String, Scores)]) {
    page.family(name, "counter", help);
    for (owner, scores) in all {
        for (class, count) in CLASSES.iter().zip(scores.answers).filter(|(_, count)| *count > 0) {
            page.sample(name, &[(label, owner), ("class", class)], count);
        }
    }
}

fn durations(page: &mut Page, name: &str, help: &str, label: &str, all: &[(String, Scores)]) {
    page.family(name, "histogram", help);
    let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
    for (owner, scores) in all {
        let Totals { buckets, microseconds } = &scores.duration;
        let mut total = 0;
        for (bound, counted) in BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]).zip(buckets)
        {
            total += counted;
            page.sample(&bucket, &[(label, owner), ("le", &bound)], total);
        }
        page.sample(&sum, &[(label, owner)], *microseconds as f64 / 1e6);
        page.sample(&count, &[(label, owner)], total);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::Reason;
    use crate::gateway::exchange::tests::exchange;

    #[test]
    fn all_threads_are_added_up() {
        let meters = Meters::new(2);
        let (route, pool) = (meters.route("movies"), meters.pool("web"));
        let mut exchange = exchange();
        exchange.sent = 10;
        exchange.tries = 2;
        exchange.upstream = Some(Duration::from_millis(2));
        for worker in [0, 1, 1] {
            route.finished(worker, &exchange, Duration::from_millis(3));
            pool.finished(worker, &exchange);
        }
        exchange.status = 429;
        exchange.unchecked = Some(Unchecked::TooLarge);
        route.finished(0, &exchange, Duration::from_micros(10));
        meters.refused(0, Reason::RateLimited);
        meters.refused(1, Reason::RateLimited);
        let page = render(&meters, |page| page.sample("more", &[], 7));
        for line in [
            "xdp_lb_gateway_requests_total{route=\"movies\",class=\"2xx\"} 3",
            "xdp_lb_gateway_requests_total{route=\"movies\",class=\"4xx\"} 1",
            "xdp_lb_gateway_request_duration_seconds_bucket{route=\"movies\",le=\"0.0005\"} 1",
            "xdp_lb_gateway_request_duration_seconds_bucket{route=\"movies\",le=\"0.005\"} 4",
            "xdp_lb_gateway_request_duration_seconds_bucket{route=\"movies\",le=\"+Inf\"} 4",
            "xdp_lb_gateway_request_duration_seconds_sum{route=\"movies\"} 0.00901",
            "xdp_lb_gateway_response_bytes_total{route=\"movies\"} 40",
            "xdp_lb_gateway_answers_unchecked_total{route=\"movies\",reason=\"too_large\"} 1",
            "xdp_lb_gateway_refused_total{reason=\"rate_limited\"} 2",
            "xdp_lb_gateway_pool_tries_total{pool=\"web\"} 6",
            "xdp_lb_gateway_pool_duration_seconds_count{pool=\"web\"} 3",
            "xdp_lb_more 7",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn a_name_keeps_its_counts() {
        let meters = Meters::new(1);
        meters.route("movies").finished(0, &exchange(), Duration::ZERO);
        meters.route("movies").finished(0, &exchange(), Duration::ZERO);
        assert_eq!(meters.route("movies").scores().answers[2], 2);
    }
}
