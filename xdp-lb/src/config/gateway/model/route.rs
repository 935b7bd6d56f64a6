use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

use super::{
    BodyTransform, Compression, ContractMode, ContractUse, Cors, HeaderChanges, QueryChanges, Template,
};
use crate::config::live::Ratio;

/// `[[route]]`: the first whose host, path and conditions fit takes a request. Where several paths fit, an exact one goes
/// before one with parameters, that before a prefix, and a longer prefix before a shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// In logs and metrics.
    pub name: String,
    /// Hosts it is for; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Paths it is for.
    pub path: PathPattern,
    /// Methods it is for; empty: any.
    pub methods: Vec<Method>,
    /// Whether headers may ask for another method.
    pub method_override: MethodOverride,
    /// What else has to be so, all of it.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub action: Action,
    /// Largest body in place of the gateway's, in bytes.
    pub body_bytes: Option<u64>,
    /// Whole time in place of the pool's.
    pub timeout: Option<Duration>,
    /// Who may.
    pub access: super::Access,
    /// Indexes of rate limits, each of which has to allow it.
    pub rate_limits: Vec<usize>,
    /// What the API's description demands.
    pub contract: Option<ContractUse>,
    /// Changes of the request on its way to the server.
    pub request: RequestChanges,
    /// Changes of the answer.
    pub response: ResponseChanges,
    /// Cross-origin requests.
    pub cors: Option<Cors>,
    /// Compression of answers.
    pub compression: Option<Compression>,
    /// A copy of some requests to another pool, whose answers are thrown away.
    pub mirror: Option<Mirror>,
}

impl Route {
    /// Whether what its requests may do is decided by their method: by the route, by a service or by an API's description.
    pub fn decides_by_method(&self) -> bool {
        let enforces = |contract: &ContractUse| contract.requests == ContractMode::Enforce;
        !self.methods.is_empty()
            || self.access.external.is_some()
            || self.contract.as_ref().is_some_and(enforces)
    }
}

/// A host, in lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This one.
    Exact(String),
    /// `*.example.com`: any with at least one label more; this holds `example.com`.
    Below(String),
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `path`: with `{name}` for a segment, `{*name}` at the end for the rest. In matchit's syntax.
    Path(String),
    /// `prefix`: itself, and what goes on after a `/`. Does not end in one, so that "" is any path.
    Prefix(String),
}

/// `route.method_override`: a request that asks for another method than its own, in headers that servers may heed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodOverride {
    /// It is refused where anything is decided by the method.
    #[default]
    Refuse,
    /// It passes.
    Pass,
}

/// A condition on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `[[route.header]]`.
    Header(HeaderName, Test),
    /// `[[route.query]]`: some value of the parameter.
    Query(String, Test),
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Is there.
    Present,
    /// Is not there.
    Absent,
    /// Is this.
    Is(String),
    /// Matches this regular expression, as a whole. It compiles.
    Matches(String),
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes to a pool, drawn by weight: indexes and weights, of which one at least is above 0.
    Forward(Vec<(usize, u32)>),
    /// `[route.redirect]`.
    Redirect {
        /// Where to, as a template with `{host}`, `{path}`, `{query}` and the path's parameters.
        to: Template,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// `[route.respond]`: an answer of the gateway's own.
    Respond {
        /// Its status.
        status: StatusCode,
        /// Its body.
        body: Template,
        /// `Content-Type`.
        content_type: String,
    },
}

/// `[route.request]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestChanges {
    /// Path in place of its own; a prefix's replacement keeps what follows.
    pub path: Option<Template>,
    /// Host in place of its own.
    pub host: Option<Template>,
    /// Headers.
    pub headers: HeaderChanges,
    /// Query parameters.
    pub query: QueryChanges,
    /// The body, where it is JSON.
    pub body: Option<BodyTransform>,
}

/// `[route.response]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseChanges {
    /// Headers.
    pub headers: HeaderChanges,
    /// The body, where it is JSON.
    pub body: Option<BodyTransform>,
    /// A body in place of the server's, for the statuses given.
    pub templates: Vec<ResponseTemplate>,
}

/// `[[route.response.template]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseTemplate {
    /// Statuses from and to that it stands in for.
    pub statuses: std::ops::RangeInclusive<u16>,
    /// The body.
    pub body: Template,
    /// `Content-Type`.
    pub content_type: String,
}

/// `[route.mirror]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mirror {
    /// Index of the pool.
    pub pool: usize,
    /// Share of requests copied.
    pub share: Ratio,
}
