//! What is told of requests: a line in the access log, counts and durations, a span. Decides nothing about them.
//!
//! Nothing here holds a query string, a cookie, an `Authorization` or any other header that was not asked for by name.

mod access_log;
mod clock;
mod encryption;
pub mod export;
mod histogram;
mod line;
mod meters;
mod page;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use access_log::{AccessLogError, LogWriter};
pub use meters::{Meters, PoolMeter, RouteMeter, Scores};
pub use page::render;
pub use trace::Tracer;

use self::line::Told;
use super::Exchange;
use crate::config::gateway::{AccessLog, LogFormat};

/// Everybody that is told of a request.
#[derive(Debug)]
pub struct Observer {
    /// How lines are written.
    pub log: AccessLog,
    /// Where they go; `None` where none is written.
    pub writer: Option<Arc<LogWriter>>,
    /// Counts and durations.
    pub meters: Arc<Meters>,
    /// Spans, where wanted.
    pub tracer: Option<Arc<Tracer>>,
    /// By index of the route.
    pub routes: Vec<(Arc<str>, Arc<RouteMeter>)>,
    /// What came to no route.
    pub unrouted: Arc<RouteMeter>,
    /// By index of the pool.
    pub pools: Vec<(Arc<str>, Arc<PoolMeter>)>,
}

impl Observer {
    /// The headers that the log shows of a request.
    pub fn logged(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let always: &[HeaderName] = match self.log.format {
            LogFormat::Combined => &[USER_AGENT, REFERER],
            LogFormat::Json => &[],
            LogFormat::Off => return Vec::new(),
        };
        let names = always.iter().chain(&self.log.headers);
        names.filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
    }

    /// A request is over, `took` after its head was complete. `chance` gives a number from 0 to below 1.
    pub fn finished(&self, worker: usize, exchange: &Exchange, took: Duration, chance: impl FnOnce() -> f64) {
        let route = exchange.route.and_then(|route| self.routes.get(route));
        let pool = exchange.pool.and_then(|pool| self.pools.get(pool));
        route.map_or(&self.unrouted, |(_, meter)| meter).finished(worker, exchange, took);
        if let Some((_, meter)) = pool {
            meter.finished(worker, exchange);
        }
        if let Some(reason) = exchange.reason {
            self.meters.refused(worker, reason);
        }
        let told = Told { exchange, route: route.map(|r| &*r.0), pool: pool.map(|p| &*p.0), took };
        if let Some(writer) = &self.writer
            && self.log.format != LogFormat::Off
            && (exchange.status >= 400 || exchange.reason.is_some() || chance() < self.log.sample.get())
        {
            let mut line = Vec::with_capacity(512);
            line::write(self.log.format, &told, &mut line);
            writer.line(&line);
        }
        if let Some(tracer) = &self.tracer {
            tracer.finished(&told);
        }
    }

    /// Lines and spans that nobody took in time.
    pub fn lost(&self) -> (u64, u64) {
        let lines = self.writer.as_ref().map_or(0, |writer| writer.lost());
        (lines, self.tracer.as_ref().map_or(0, |tracer| tracer.lost()))
    }
}
