use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

/// Who may use a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Client addresses allowed; empty: all.
    pub allow: Vec<IpNet>,
    /// Client addresses refused; goes before `allow`.
    pub deny: Vec<IpNet>,
    /// Indexes of verifiers, one of which has to know the client; empty: anybody may.
    pub any_of: Vec<usize>,
    /// Claims that the verified token has to have on this route beside those of its verifier.
    pub claims: Vec<(String, ClaimTest)>,
    /// Index of the verifier of kind [`VerifierKind::External`] that is asked last.
    pub external: Option<usize>,
}

/// `[[verifier]]`: a way for a client to say who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verifier {
    /// In routes, logs and metrics.
    pub name: String,
    /// How.
    pub kind: VerifierKind,
    /// Header in which the server is told who it is, and its value's source. A client's own headers of these names are
    /// removed, on every route.
    pub pass: Vec<(HeaderName, Pass)>,
}

/// What is passed on of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The subject: the token's `sub`, the key's or user's name, the certificate's subject.
    Subject,
    /// A claim of the token; JSON unless it is a string.
    Claim(String),
    /// The verifier's name.
    Verifier,
}

/// How a client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifierKind {
    /// A signed token, RFC 7519.
    Jwt(Jwt),
    /// A secret in a header.
    ApiKey {
        /// The header.
        header: HeaderName,
        /// File with one key a line: `name sha256-in-hex`, read again on reload and when it changes.
        path: PathBuf,
    },
    /// User and password, RFC 7617.
    Basic {
        /// Told to clients.
        realm: String,
        /// File with one user a line: `user:argon2id-in-PHC-form`, read again on reload and when it changes.
        path: PathBuf,
    },
    /// The certificate that the client showed.
    Certificate {
        /// Subjects allowed: of the certificate's common name or one of its alternative names (DNS, URI, e-mail), exactly
        /// or with `*` as the first label of a DNS name; empty: any that the listener's authorities signed.
        subjects: Vec<String>,
    },
    /// A service that decides, asked with the request's head.
    External(External),
}

/// `[verifier.jwt]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jwt {
    /// Where keys come from.
    pub keys: JwtKeys,
    /// Algorithms allowed, each explicitly; never `none`.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Who has to have issued it.
    pub issuer: Option<String>,
    /// Who it has to be for, one of these; empty: anybody.
    pub audience: Vec<String>,
    /// Claims it has to have.
    pub claims: Vec<(String, ClaimTest)>,
    /// How far the clocks may be apart.
    pub leeway: Duration,
    /// Header that holds it, after `Bearer ` where that is `authorization`.
    pub header: HeaderName,
}

/// Where the keys of tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A JWKS, RFC 7517, in a file; read again on reload and when it changes.
    File(PathBuf),
    /// A JWKS at an address, fetched by way of a pool.
    Fetched {
        /// Index of the pool.
        pool: usize,
        /// Path, with the query if there is one.
        path: String,
        /// `Host` of the request.
        host: String,
        /// Between two fetches; also fetched, but at most every so often, when a token names an unknown key.
        refresh: Duration,
        /// Least time between two fetches.
        least: Duration,
    },
}

/// A signature algorithm of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the RFCs'")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// What a claim has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimTest {
    /// There.
    Present,
    /// One of these: equal to it, or, for a list or a string of words as `scope` has them, holding it.
    OneOf(Vec<String>),
}

/// `[verifier.external]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct External {
    /// Index of the pool asked.
    pub pool: usize,
    /// Prefix put before the request's path.
    pub prefix: String,
    /// Request headers it is told beside method, path, host and client.
    pub request_headers: Vec<HeaderName>,
    /// Headers of its answer that go to the server.
    pub response_headers: Vec<HeaderName>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether requests pass where it gives no answer.
    pub fail_open: bool,
}

/// `[[rate_limit]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// In routes, logs and metrics.
    pub name: String,
    /// Whose requests are counted together.
    pub key: RateKey,
    /// Requests in each period.
    pub requests: u32,
    /// The period.
    pub period: Duration,
    /// Requests at once after a quiet time.
    pub burst: u32,
    /// Keys kept at once at most; when there are more, those that would be allowed their whole burst are forgotten first.
    pub max_keys: u32,
}

/// `rate_limit.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// All requests of a route.
    Route,
    /// The client's address; IPv6 by its /64.
    Address,
    /// The verified API key's name; without one, the address.
    ApiKey,
    /// A claim of the verified token; without it, the address.
    Claim(String),
    /// A header's value; without it, the address.
    Header(HeaderName),
}
