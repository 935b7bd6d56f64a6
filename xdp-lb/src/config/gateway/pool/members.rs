//! Where a pool's servers come from.

use std::time::Duration;

use super::POOL;
use crate::config::gateway::model::{Members, Server};
use crate::config::gateway::rules::{server, set};
use crate::config::model::Weight;
use crate::config::rules::{Refusal, Rule, absolute_path, duration, integer_as, name, port};
use crate::config::section::{Schema, Section};

const SERVER: Schema = Schema {
    header: "[[pool.server]]",
    keys: &["name", "address", "weight"],
    refused: &[("port", "unknown key: it is part of the address, as \"10.0.0.11:8080\"")],
    outer: Some(&POOL),
};

const DNS: Schema = Schema {
    header: "[pool.dns]",
    keys: &["name", "port", "refresh_least", "refresh_most", "resolvers"],
    refused: &[],
    outer: Some(&POOL),
};

const FILE: Schema =
    Schema { header: "[pool.file]", keys: &["path", "interval"], refused: &[], outer: Some(&POOL) };

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 3] = [(&SERVER, &[]), (&DNS, &[]), (&FILE, &[])];

/// Exactly one of the three ways; `None` when it is wrong.
pub(super) fn members(pool: &Section<'_>) -> Option<Members> {
    let given: Vec<&'static str> =
        ["server", "dns", "file"].into_iter().filter(|key| pool.has(key)).collect();
    match given.as_slice() {
        [] => pool.missing("server", "one of [[pool.server]], [pool.dns] and [pool.file]"),
        [_] => {}
        [first, more @ ..] => more.iter().for_each(|key| {
            pool.useless(
                key,
                &format!("a pool has its servers from one place, and `{first}` is there: remove one"),
            );
        }),
    }
    let read: Vec<Option<Members>> = given
        .into_iter()
        .map(|key| match key {
            "server" => servers(pool),
            "dns" => dns(&pool.table("dns", &DNS)),
            _ => file(&pool.table("file", &FILE)),
        })
        .collect();
    read.into_iter().next()?
}

fn servers(pool: &Section<'_>) -> Option<Members> {
    let tables = pool.tables("server", &SERVER);
    if tables.is_empty() {
        pool.missing("server", "at least one, as [{ address = \"10.0.0.11:8080\" }]");
    }
    let read: Vec<_> = tables
        .iter()
        .map(|table| {
            let name = table.optional("name", name());
            let address = table.required("address", server());
            let weight = integer_as("an integer from 0 to 65535", Weight::new);
            (name, address, table.or("weight", weight, Weight::DEFAULT).value)
        })
        .collect();
    let names = read.iter().filter_map(|(name, ..)| Some((name.value.as_ref()?, &name.place)));
    pool.source()
        .unique(names, |line| format!("the server in line {line} has this name too: give each its own"));
    let addresses = read.iter().filter_map(|(_, address, _)| Some((address.value?, &address.place)));
    pool.source().unique(addresses, |line| {
        format!(
            "the server in line {line} has this address too: name each server once, its share is its weight"
        )
    });
    let servers: Option<Vec<Server>> = read
        .into_iter()
        .map(|(name, address, weight)| {
            let address = address.value?;
            let name = name.maybe()?.unwrap_or_else(|| address.to_string());
            Some(Server { name, address, weight: weight? })
        })
        .collect();
    Some(Members::Static(servers?))
}

fn dns(table: &Section<'_>) -> Option<Members> {
    let looked_up = table.required("name", dns_name());
    let port = table.optional("port", port(None));
    let day = Duration::from_secs(86_400);
    let least = table.or("refresh_least", duration(Duration::from_millis(100)..=day), Duration::from_secs(1));
    let most = Duration::from_secs(300).max(least.value.unwrap_or_default());
    let most = table.or("refresh_most", duration(Duration::from_millis(100)..=day), most);
    if least.value > most.value {
        table.source().report(&most.place, "is shorter than refresh_least: raise it, or lower refresh_least");
    }
    let expected = "a list of up to 8 addresses with port, as [\"10.0.0.2:53\"]";
    let resolvers = set(table, "resolvers", expected, 0..=8, server(), Vec::new());
    match looked_up.value.as_ref().map(|name| name.starts_with('_')) {
        Some(false) if !port.given => table.missing(
            "port",
            "an integer from 1 to 65535, or as `name` that of an SRV record, which tells it, as _http._tcp.movies.internal",
        ),
        Some(true) => table.useless("port", "the name is that of an SRV record, which tells the port: remove this"),
        _ => {}
    }
    Some(Members::Dns {
        name: looked_up.value?,
        port: port.maybe()?,
        refresh: (least.value?, most.value?),
        resolvers: resolvers?,
    })
}

fn file(table: &Section<'_>) -> Option<Members> {
    let path = table.required("path", absolute_path(4_095));
    let range = Duration::from_millis(100)..=Duration::from_secs(3_600);
    let interval = table.or("interval", duration(range), Duration::from_secs(1));
    Some(Members::File { path: path.value?, interval: interval.value? })
}

fn dns_name() -> Rule<'static, String> {
    Rule::string("a DNS name of at most 253 bytes, as \"movies.internal\"", |text| {
        if text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok() {
            return Err(Refusal::Hint("write addresses in [[pool.server]]".to_owned()));
        }
        if text.contains(':') {
            return Err(Refusal::Hint("the port has its own key".to_owned()));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if text.len() <= 253 && name.split('.').all(label) {
            Ok(text.to_owned())
        } else {
            Err(Refusal::Unexpected)
        }
    })
}
