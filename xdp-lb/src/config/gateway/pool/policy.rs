//! What decides about a pool's servers: `[pool.balance]`, `[pool.retry]`, `[pool.hedge]`, `[pool.breaker]` and
//! `[pool.timeouts]`.

use std::time::Duration;

use super::POOL;
use crate::config::cross::conflict;
use crate::config::gateway::model::{Balance, Breaker, Hedge, Retry, UpstreamTimeouts};
use crate::config::gateway::rules::{FRAMING, bytes32, failures, header};
use crate::config::live::Ratio;
use crate::config::rules::{duration, integer, integer_as, ratio, shown};
use crate::config::section::{Field, Schema, Section};

const BALANCE: Schema = Schema {
    header: "[pool.balance]",
    keys: &[
        "choices",
        "warmup",
        "eject_after",
        "eject_least",
        "eject_most",
        "utilization_header",
        "failures",
    ],
    refused: &[],
    outer: Some(&POOL),
};

const RETRY: Schema = Schema {
    header: "[pool.retry]",
    keys: &["tries", "budget", "least", "statuses", "body_bytes"],
    refused: &[("retries", "unknown key: `tries` counts the first one too")],
    outer: Some(&POOL),
};

const HEDGE: Schema = Schema { header: "[pool.hedge]", keys: &["after"], refused: &[], outer: Some(&POOL) };

const BREAKER: Schema = Schema {
    header: "[pool.breaker]",
    keys: &["max_in_flight", "max_pending", "pending_timeout"],
    refused: &[],
    outer: Some(&POOL),
};

const TIMEOUTS: Schema = Schema {
    header: "[pool.timeouts]",
    keys: &["connect", "per_try", "request", "idle"],
    refused: &[],
    outer: Some(&POOL),
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 5] =
    [(&BALANCE, &[]), (&RETRY, &[]), (&HEDGE, &[]), (&BREAKER, &[]), (&TIMEOUTS, &[])];

/// How a server is chosen; `None` when something in it is wrong, as with all of these.
pub(super) fn balance(pool: &Section<'_>) -> Option<Balance> {
    let table = pool.table("balance", &BALANCE);
    let choices =
        integer_as("an integer from 1 to 8", |n| u8::try_from(n).ok().filter(|n| (1..=8).contains(n)));
    let choices = table.or("choices", choices, 2);
    let warmup = table.or("warmup", duration(Duration::ZERO..=HOUR), Duration::from_secs(90));
    let eject_after = table.or("eject_after", integer(0..=1000, " (0 = never)"), 5);
    let least = table.or("eject_least", duration(Duration::from_millis(100)..=HOUR), Duration::from_secs(5));
    let most = Duration::from_secs(60).max(least.value.unwrap_or_default());
    let most = table.or("eject_most", duration(Duration::from_millis(100)..=HOUR), most);
    let utilization = table.optional("utilization_header", header(FRAMING));
    let failures = failures(&table, "failures", &[500, 502, 503, 504]);
    if eject_after.value == Some(0) {
        for key in ["eject_least", "eject_most"] {
            table
                .useless(key, "has no effect with eject_after = 0, which ejects none: remove one of the two");
        }
    } else if least.value > most.value {
        let mend = "raise it, or lower eject_least";
        conflict(table.source(), &most, "shorter than", ("eject_least", &least), shown, mend);
    }
    Some(Balance {
        choices: choices.value?,
        warmup: warmup.value?,
        eject_after: eject_after.value?,
        eject_least: least.value?,
        eject_most: most.value?,
        utilization_header: utilization.maybe()?,
        failures: failures?,
    })
}

/// Second tries.
pub(super) fn retry(pool: &Section<'_>) -> Option<Retry> {
    let table = pool.table("retry", &RETRY);
    let tries = integer_as("an integer from 1 (no second try) to 10", |n| {
        u8::try_from(n).ok().filter(|n| (1..=10).contains(n))
    });
    let tries = table.or("tries", tries, 2);
    let budget = table.or("budget", ratio(0..=1000), Ratio::thousandths(200));
    let least = table.or("least", integer(0..=1_000_000, " a second"), 3);
    let statuses = failures(&table, "statuses", &[502, 503, 504]);
    let body_bytes = table.or("body_bytes", bytes32(0..=64 << 20), 64 << 10);
    if tries.value == Some(1) {
        for key in ["budget", "least", "statuses", "body_bytes"] {
            table.useless(key, "has no effect with tries = 1, which is no second try: remove one of the two");
        }
    }
    Some(Retry {
        tries: tries.value?,
        budget: budget.value?,
        least: least.value?,
        statuses: statuses?,
        body_bytes: body_bytes.value?,
    })
}

/// A second request before the first failed: `Some(None)` where the table is left out.
pub(super) fn hedge(pool: &Section<'_>) -> Option<Option<Hedge>> {
    let table = pool.table("hedge", &HEDGE);
    if !table.is_given() {
        return Some(None);
    }
    let after = table.required("after", duration(Duration::from_millis(1)..=Duration::from_secs(60)));
    Some(Some(Hedge { after: after.value? }))
}

/// How much a pool takes.
pub(super) fn breaker(pool: &Section<'_>) -> Option<Breaker> {
    let table = pool.table("breaker", &BREAKER);
    let in_flight = table.or("max_in_flight", integer(0..=u32::MAX, " (0 = no limit)"), 0);
    let pending = table.or("max_pending", integer(0..=1_000_000, ""), 100);
    let range = Duration::from_millis(1)..=Duration::from_secs(60);
    let timeout = table.or("pending_timeout", duration(range), Duration::from_secs(1));
    if in_flight.value == Some(0) {
        let by_default = if in_flight.given { "" } else { ", the default" };
        for key in ["max_pending", "pending_timeout"] {
            let reason = format!(
                "has no effect with max_in_flight = 0{by_default}, as nothing waits then: set one, or remove this"
            );
            table.useless(key, &reason);
        }
    } else if pending.value == Some(0) {
        table.useless(
            "pending_timeout",
            "has no effect with max_pending = 0, as nothing waits then: remove one of the two",
        );
    }
    Some(Breaker {
        max_in_flight: in_flight.value?,
        max_pending: pending.value?,
        pending_timeout: timeout.value?,
    })
}

/// How long things may take. What is not set is no longer than what is.
pub(super) fn timeouts(pool: &Section<'_>) -> Option<UpstreamTimeouts> {
    let table = pool.table("timeouts", &TIMEOUTS);
    let range = || duration(Duration::from_millis(1)..=HOUR);
    let request = table.or("request", range(), Duration::from_secs(30));
    let whole = request.value.unwrap_or(HOUR);
    let per_try = table.or("per_try", range(), Duration::from_secs(15).min(whole));
    let connect = table.or("connect", range(), Duration::from_secs(2).min(per_try.value.unwrap_or(whole)));
    let idle = table.or("idle", range(), Duration::from_secs(60));
    let within = |inner: &Field<Duration>, name: &'static str, outer: &Field<Duration>| {
        if inner.value > outer.value && outer.value.is_some() {
            let mend = format!("it would never be reached; lower it or raise {name}");
            conflict(table.source(), inner, "longer than", (name, outer), shown, &mend);
        }
    };
    within(&per_try, "request", &request);
    within(&connect, "per_try", &per_try);
    Some(UpstreamTimeouts {
        connect: connect.value?,
        per_try: per_try.value?,
        request: request.value?,
        idle: idle.value?,
    })
}

const HOUR: Duration = Duration::from_secs(3_600);
