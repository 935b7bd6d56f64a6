use std::time::Duration;

use http::{HeaderName, Method};

/// A text with places that are filled in for each request: `{host}`, `{path}`, `{query}`, `{method}`, `{client}`,
/// `{request_id}`, `{header:NAME}`, `{query:NAME}`, `{claim:NAME}`, `{identity}`, `{param:NAME}`, `{status}` (answers
/// only). `{{` is one brace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// In order.
    pub parts: Vec<TemplatePart>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// As it is.
    Text(String),
    /// The request's host, without port.
    Host,
    /// The request's path.
    Path,
    /// The request's query, with the `?` before it where there is one.
    Query,
    /// What follows the route's prefix.
    Rest,
    /// The request's method.
    Method,
    /// The client's address.
    Client,
    /// The request's ID.
    RequestId,
    /// Who asks, as verified.
    Identity,
    /// A header of the request.
    Header(HeaderName),
    /// A parameter of the query.
    QueryParameter(String),
    /// A claim of the verified token.
    Claim(String),
    /// A parameter of the path.
    PathParameter(String),
    /// The answer's status.
    Status,
}

/// Changes of headers: removed first, then set, then added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// All of these names go.
    pub remove: Vec<HeaderName>,
    /// In place of any of the name.
    pub set: Vec<(HeaderName, Template)>,
    /// Beside any of the name.
    pub add: Vec<(HeaderName, Template)>,
}

/// Changes of the query: removed first, then set, then added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryChanges {
    /// All of these names go.
    pub remove: Vec<String>,
    /// In place of any of the name.
    pub set: Vec<(String, Template)>,
    /// Beside any of the name.
    pub add: Vec<(String, Template)>,
}

/// Changes of a JSON body: fields dropped, then renamed, then set. Fields are named by JSON pointer (RFC 6901); `*` as a
/// segment is every element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyTransform {
    /// Pointers of fields that go.
    pub drop: Vec<String>,
    /// Pointers of fields, and the new name of each last segment.
    pub rename: Vec<(String, String)>,
    /// Pointers of fields and what they become: JSON whose strings may hold places as templates do.
    pub set: Vec<(String, SetValue)>,
    /// Largest body that is changed, in bytes; a larger one is refused (request: 413, answer: 502).
    pub most_bytes: u32,
}

/// What a field becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// A string.
    Text(Template),
    /// Any other JSON.
    Json(serde_json::Value),
}

/// `[route.cors]`, by the Fetch standard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cors {
    /// Origins that may ask, in lower case; `*.` below a host is allowed as in `https://*.example.com`.
    pub origins: Origins,
    /// Methods allowed.
    pub methods: Vec<Method>,
    /// Request headers allowed, in lower case.
    pub headers: Vec<HeaderName>,
    /// Answer headers that scripts may read.
    pub expose: Vec<HeaderName>,
    /// Whether cookies and the like may be sent; never with any origin.
    pub credentials: bool,
    /// How long a preflight's answer is good for.
    pub max_age: Duration,
}

/// `route.cors.origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// `["*"]`.
    Any,
    /// These.
    Listed(Vec<Origin>),
}

/// An origin, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `https://example.com`, exactly.
    Exact(String),
    /// Scheme with `://`, and the suffix that a longer host has to end in, with its dot (and port, if any).
    Below(String, String),
}

/// `[route.compression]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// What is offered, the best first.
    pub encodings: Vec<Encoding>,
    /// Shorter answers, of known length, are left alone.
    pub least_bytes: u32,
    /// Media types compressed, as `text/*` or whole.
    pub types: Vec<String>,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `br`, RFC 7932.
    Brotli,
    /// `gzip`, RFC 1952.
    Gzip,
    /// `zstd`, RFC 8878.
    Zstd,
}
