//! Servers found by DNS: the addresses of a name, or of the targets of a service (RFC 2782).

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::super::Pool;
use super::Member;

/// What is asked, and whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a str,
    /// `None`: the name is a service's.
    pub(super) port: Option<u16>,
    /// Empty: as the machine's `/etc/resolv.conf` has it.
    pub(super) resolvers: &'a [SocketAddr],
    /// For an answer of one of `resolvers`.
    pub(super) timeout: Duration,
}

/// How long a configured resolver may take for one answer; it is asked twice.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) members: Vec<Member>,
    /// How long it holds, by the records.
    pub(super) ttl: Duration,
    /// What could not be found, in words.
    pub(super) problem: Option<String>,
    /// Addresses of this family could not be looked up: those that were known are to be kept.
    pub(super) keeps: Option<Family>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, address: SocketAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    fn records(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }
}

/// Whether `name` can be looked up at all.
pub(super) fn check(name: &str) -> Result<(), String> {
    if name.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Name::from_ascii(name).map(drop).map_err(|error| error.to_string())
}

/// Looks the servers up whenever the records' time is over, within the bounds of `refresh`, until dropped. A look-up
/// that fails or finds nothing keeps the servers as they were, and the next one comes later each time.
pub(super) async fn follow(pool: &Pool, question: &Question<'_>, refresh: (Duration, Duration)) {
    let (least, most) = refresh;
    let mut failures = 0_u32;
    loop {
        let renewed = renew(pool, question).await;
        failures = if renewed.is_whole { 0 } else { failures.saturating_add(1) };
        let holds = renewed.ttl.clamp(least, most.max(least));
        let pause =
            if renewed.is_whole { holds } else { patience(failures, refresh, fastrand::f64()).min(holds) };
        tokio::time::sleep(pause).await;
    }
}

/// What came of a look-up.
pub(super) struct Renewed {
    /// How long it holds.
    ttl: Duration,
    /// Whether all that was asked for was answered.
    is_whole: bool,
}

/// Looks the servers up once, and makes those that are found the pool's.
pub(super) async fn renew(pool: &Pool, question: &Question<'_>) -> Renewed {
    match look_up(question).await {
        Ok(found) => {
            let mut members = found.members;
            if let Some(family) = found.keeps {
                let known = pool.members();
                members.extend(known.into_iter().filter(|member| family.has(member.address)));
            }
            pool.set_members(&members);
            pool.tell_source(found.problem.map(|problem| format!("{}: {problem}", question.name)));
            Renewed { ttl: found.ttl, is_whole: found.keeps.is_none() }
        }
        Err(problem) => {
            pool.tell_source(Some(format!("{}: {problem}", question.name)));
            Renewed { ttl: Duration::MAX, is_whole: false }
        }
    }
}

/// Longest pause after a look-up that failed, unless what is configured is longer or shorter.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// The pause after so many look-ups in a row that failed: twice as long each time, so that a resolver in distress is
/// asked less, and up to a quarter longer by chance, from 0 to 1, so that not all gateways ask at once when it is back.
pub(super) fn patience(failures: u32, (least, most): (Duration, Duration), chance: f64) -> Duration {
    let longest = most.min(LONGEST_PATIENCE).max(least);
    let pause = least.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest);
    pause.mul_f64(1.0 + chance / 4.0)
}

/// The servers, or why there are none.
pub(super) async fn look_up(question: &Question<'_>) -> Result<Found, String> {
    if let (Ok(address), Some(port)) = (question.name.parse::<IpAddr>(), question.port) {
        let members = vec![member(SocketAddr::new(address, port), 1.0)];
        return Ok(Found { members, ttl: Duration::MAX, problem: None, keeps: None });
    }
    let resolver = resolver(question).await?;
    let mut name = Name::from_ascii(question.name).map_err(|error| error.to_string())?;
    if !question.resolvers.is_empty() {
        // Which domains are searched is told by the machine's configuration only.
        name.set_fqdn(true);
    }
    match question.port {
        Some(port) => {
            let found = addresses(&resolver, &name).await.map_err(Failure::into_words)?;
            let members =
                found.addresses.into_iter().map(|ip| member(SocketAddr::new(ip, port), 1.0)).collect();
            let (keeps, problem) = found.missing.unzip();
            Ok(Found { members, ttl: seconds(found.ttl), problem, keeps })
        }
        None => service(&resolver, &name).await,
    }
}

fn member(address: SocketAddr, weight: f64) -> Member {
    Member { name: address.to_string().into(), address, weight }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(u64::from(ttl))
}

/// Made anew for each look-up: files may have changed. What decides how long an answer holds is not a cache here.
async fn resolver(question: &Question<'_>) -> Result<TokioResolver, String> {
    let runtime = TokioRuntimeProvider::default();
    if question.resolvers.is_empty() {
        let make = move || {
            let mut builder = Resolver::builder(runtime)?;
            builder.options_mut().cache_size = 0;
            builder.build()
        };
        let made = tokio::task::spawn_blocking(make).await.map_err(|error| error.to_string())?;
        return made.map_err(|error| format!("/etc/resolv.conf or /etc/hosts cannot be used: {error}"));
    }
    let servers = question.resolvers.iter().map(|address| {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (udp.port, tcp.port) = (address.port(), address.port());
        NameServerConfig::new(address.ip(), true, vec![udp, tcp])
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut builder = Resolver::builder_with_config(config, runtime);
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = question.timeout;
    builder.build().map_err(|error| error.to_string())
}

/// Why nothing was found.
#[derive(Debug)]
enum Failure {
    /// There is nothing.
    Nothing(String),
    /// It is not known whether there is.
    Unknown(String),
}

impl Failure {
    fn into_words(self) -> String {
        match self {
            Self::Nothing(words) | Self::Unknown(words) => words,
        }
    }
}

async fn records(
    lookup: impl Future<Output = Result<Lookup, NetError>>,
    kind: &str,
) -> Result<Lookup, Failure> {
    match lookup.await {
        Ok(found) => Ok(found),
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => Err(match nothing.response_code {
            ResponseCode::NXDomain => Failure::Nothing("no such name (NXDOMAIN)".to_owned()),
            ResponseCode::NoError => Failure::Nothing(format!("no {kind} record")),
            code => Failure::Unknown(format!("{kind} records: the resolver said {code}")),
        }),
        Err(NetError::Timeout) => Err(Failure::Unknown(format!("{kind} records: no answer in time"))),
        Err(error) => Err(Failure::Unknown(format!("{kind} records: {error}"))),
    }
}

/// Addresses of one name.
struct Addresses {
    /// Sorted, each once.
    addresses: Vec<IpAddr>,
    ttl: u32,
    /// What could not be looked up, and why.
    missing: Option<(Family, String)>,
}

async fn addresses(resolver: &TokioResolver, name: &Name) -> Result<Addresses, Failure> {
    let (v4, v6) = tokio::join!(
        records(resolver.lookup(name.clone(), RecordType::A), Family::V4.records()),
        records(resolver.lookup(name.clone(), RecordType::AAAA), Family::V6.records()),
    );
    let mut found = Addresses { addresses: Vec::new(), ttl: u32::MAX, missing: None };
    let mut nothing = None;
    for (family, answer) in [(Family::V4, v4), (Family::V6, v6)] {
        match answer {
            Ok(answer) => {
                for record in answer.answers() {
                    match record.data {
                        RData::A(address) => found.addresses.push(address.0.into()),
                        RData::AAAA(address) => found.addresses.push(address.0.into()),
                        _ => {}
                    }
                    // Aliases on the way count, too.
                    found.ttl = found.ttl.min(record.ttl);
                }
            }
            Err(Failure::Nothing(words)) => nothing = nothing.or(Some(words)),
            Err(Failure::Unknown(words)) => found.missing = Some((family, words)),
        }
    }
    found.addresses.sort_unstable();
    found.addresses.dedup();
    match (found.addresses.is_empty(), found.missing.take(), nothing) {
        (false, missing, _) => Ok(Addresses { missing, ..found }),
        (true, Some((_, words)), _) => Err(Failure::Unknown(words)),
        (true, None, Some(words)) if words.contains("NXDOMAIN") => Err(Failure::Nothing(words)),
        (true, None, _) => Err(Failure::Nothing("neither A nor AAAA records".to_owned())),
    }
}

/// The servers of a service: all addresses of the targets of the lowest priority.
async fn service(resolver: &TokioResolver, name: &Name) -> Result<Found, String> {
    let answer =
        records(resolver.lookup(name.clone(), RecordType::SRV), "SRV").await.map_err(Failure::into_words)?;
    let mut ttl = answer.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
    let targets = answer.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(target) => Some(target.clone()),
        _ => None,
    });
    let targets = preferred(targets.collect());
    if targets.is_empty() {
        return Err("the service is not offered there (target \".\")".to_owned());
    }
    let resolved: Vec<_> = stream::iter(targets)
        .map(async |(target, weight)| match addresses(resolver, &target.target).await {
            Ok(found) => Ok((target, weight, Ok(found))),
            Err(Failure::Nothing(words)) => Ok((target, weight, Err(words))),
            // Its servers may well be there: better none of this answer than a part.
            Err(Failure::Unknown(words)) => Err(format!("target {}: {words}", target.target)),
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let (mut members, mut problem) = (Vec::new(), None);
    for (target, weight, found) in resolved {
        let missing = match &found {
            Ok(found) => found.missing.as_ref().map(|(_, words)| words),
            Err(words) => Some(words),
        };
        if let Some(words) = missing {
            problem = problem.or(Some(format!("target {}: {words}", target.target)));
        }
        let Ok(found) = found else { continue };
        ttl = ttl.min(found.ttl);
        let share = weight / found.addresses.len() as f64;
        members.extend(found.addresses.iter().map(|ip| member(SocketAddr::new(*ip, target.port), share)));
    }
    match (members.is_empty(), problem) {
        (true, problem) => Err(problem.unwrap_or_else(|| "no target has an address".to_owned())),
        (false, problem) => Ok(Found { members, ttl: seconds(ttl), problem, keeps: None }),
    }
}

/// Targets that are looked up at a time.
const CONCURRENT: usize = 8;

/// Of the lowest priority, each with its weight: one of 0 has "a very small chance" beside others (RFC 2782).
fn preferred(mut targets: Vec<SRV>) -> Vec<(SRV, f64)> {
    targets.retain(|target| !target.target.is_root());
    let lowest = targets.iter().map(|target| target.priority).min();
    targets.retain(|target| Some(target.priority) == lowest);
    let none_has_any = targets.iter().all(|target| target.weight == 0);
    let weight = |weight: u16| match weight {
        0 if none_has_any => 1.0,
        0 => 0.01,
        weight => f64::from(weight),
    };
    targets.into_iter().map(|target| (weight(target.weight), target)).map(|(w, target)| (target, w)).collect()
}
