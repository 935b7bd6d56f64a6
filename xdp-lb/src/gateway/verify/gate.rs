use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::api_key::ApiKeys;
use super::basic::Basic;
use super::certificate::Certificates;
use super::claims::unmet;
use super::external::Externals;
use super::jwt::Tokens;
use super::known::{Check, Known, Passing, is_https_own, strip};
use super::{Ask, BuildError, FileError, address};
use crate::config::gateway::{Access, Verifier, VerifierKind};
use crate::gateway::{Exchange, Identity, Reason, Refusal};

/// All verifiers of a configuration.
pub struct Gate {
    verifiers: Vec<One>,
    /// Headers that only the gateway sets.
    own: Vec<HeaderName>,
}

struct One {
    name: Arc<str>,
    kind: Kind,
    /// How a client is asked for credentials of this kind: the value of `WWW-Authenticate`, with none and with bad ones.
    challenge: Option<(HeaderValue, HeaderValue)>,
}

enum Kind {
    Jwt(Tokens),
    ApiKey(ApiKeys),
    Basic(Basic),
    Certificate(Certificates),
    External(Externals),
}

impl Gate {
    /// Reads all files. `before` is the gate that is in use: keys, and what was verified with them, are taken over by the
    /// verifiers' names.
    pub fn build(verifiers: &[Verifier], before: Option<&Self>) -> Result<Self, BuildError> {
        let built: Result<Vec<_>, _> =
            verifiers.iter().map(|verifier| One::build(verifier, before)).collect();
        let verifiers_built = built?;
        let mut own: Vec<HeaderName> = Vec::new();
        for verifier in verifiers {
            for (name, _) in &verifier.pass {
                let (header, verifier) = (name.clone(), verifier.name.clone());
                if is_https_own(name) {
                    return Err(BuildError::HttpsOwn { verifier, key: "pass", header });
                }
                if let Some(reader) = verifiers_built.iter().find(|one| one.reads() == Some(name)) {
                    let reader = reader.name.to_string();
                    return Err(BuildError::PassIsRead { verifier, header, reader });
                }
                if !own.contains(name) {
                    own.push(header);
                }
            }
        }
        // What a service that decides tells servers, too: also where it is not asked, a client cannot say it. Not what a
        // client sends by itself: its credentials, and what the service is told of.
        let asked = |name: &HeaderName| {
            let is_told = |verifier: &Verifier| matches!(&verifier.kind, VerifierKind::External(config) if config.request_headers.contains(name));
            [AUTHORIZATION, COOKIE].contains(name)
                || verifiers_built.iter().any(|one| one.reads() == Some(name))
                || verifiers.iter().any(is_told)
        };
        for verifier in verifiers {
            if let VerifierKind::External(config) = &verifier.kind {
                own.extend(config.response_headers.iter().filter(|name| !asked(name)).cloned());
            }
        }
        Ok(Self { verifiers: verifiers_built, own })
    }

    /// Takes off each request, and off its trailers, what a client says of who it is in the gateway's own headers. For
    /// every request of every route, before anything else looks at these headers.
    pub fn strip(&self, headers: &mut HeaderMap) {
        strip(&self.own, headers);
    }

    /// Whether a request may use its route. Fills in who asks, and tells the server in the request's headers.
    ///
    /// Waits only for what takes long: an unknown key, a password that was not seen lately, the service that decides.
    pub async fn admit(
        &self,
        access: &Access,
        exchange: &mut Exchange,
        head: &mut Parts,
        ask: &dyn Ask,
    ) -> Result<(), Refusal> {
        address::check(access, exchange.client)?;
        if !access.any_of.is_empty() {
            let (index, known) = self.identify(access, exchange, &head.headers).await?;
            self.accept(access, exchange, head, index, &known)?;
        } else if !access.claims.is_empty() {
            // Nobody said who it is, so nobody has a claim.
            return Err(forbidden());
        }
        if let Some(index) = access.external {
            let Some(Kind::External(external)) = self.verifiers.get(index).map(|one| &one.kind) else {
                return Err(misbuilt());
            };
            Box::pin(external.decide(exchange, head, ask)).await?;
        }
        Ok(())
    }

    async fn identify(
        &self,
        access: &Access,
        exchange: &Exchange,
        headers: &HeaderMap,
    ) -> Result<(usize, Arc<Known>), Refusal> {
        let (mut refused, mut down) = (None, None);
        for &index in &access.any_of {
            let Some(one) = self.verifiers.get(index) else { return Err(misbuilt()) };
            let check = match one.check(exchange, headers) {
                // In a box of its own, so that the future of each request stays small.
                Check::Later => Box::pin(one.settle(exchange, headers)).await,
                check => check,
            };
            match check {
                Check::Known(known) => return Ok((index, known)),
                Check::Absent | Check::Later => {}
                Check::Refused(why) => {
                    refused.get_or_insert((index, why));
                }
                Check::Down(why) => {
                    down.get_or_insert((index, why));
                }
            }
        }
        Err(match (down, refused) {
            (Some((index, why)), _) => {
                let cause = format!("{}: {why}", self.name(index));
                let detail = "it cannot be told now who asks";
                let second = std::time::Duration::from_secs(1);
                Refusal::new(Reason::VerifierDown, detail).because(cause).retry_after(second)
            }
            (None, refused) => self.unverified(access, refused),
        })
    }

    /// A refusal with a challenge for each kind of credentials that would do.
    fn unverified(&self, access: &Access, refused: Option<(usize, &'static str)>) -> Refusal {
        let detail = refused.map_or("this resource needs credentials", |(_, why)| why);
        let challenge = |index: &usize| {
            let (plain, after_bad) = self.verifiers.get(*index)?.challenge.as_ref()?;
            Some(if refused.is_some_and(|(bad, _)| bad == *index) { after_bad } else { plain })
        };
        let mut challenges: Vec<&HeaderValue> = access.any_of.iter().filter_map(challenge).collect();
        let mut seen = Vec::new();
        challenges.retain(|challenge| {
            let new = !seen.contains(challenge);
            seen.push(*challenge);
            new
        });
        // A certificate cannot be asked for by a 401.
        let reason = if challenges.is_empty() { Reason::Forbidden } else { Reason::Unverified };
        let mut refusal = Refusal::new(reason, detail);
        if let Some((index, why)) = refused {
            refusal = refusal.because(format!("{}: {why}", self.name(index)));
        }
        challenges
            .into_iter()
            .fold(refusal, |refusal, challenge| refusal.with(WWW_AUTHENTICATE, challenge.clone()))
    }

    fn accept(
        &self,
        access: &Access,
        exchange: &mut Exchange,
        head: &mut Parts,
        index: usize,
        known: &Known,
    ) -> Result<(), Refusal> {
        let Some(one) = self.verifiers.get(index) else { return Err(misbuilt()) };
        // Also of one who may not, for the log.
        exchange.identity = Some(Identity {
            verifier: index,
            verifier_name: one.name.clone(),
            subject: known.subject.clone(),
            claims: known.claims.clone(),
        });
        if let Some(claim) = unmet(&access.claims, &known.claims) {
            let refusal = forbidden().because(format!("claim {claim} is not as the route demands"));
            return Err(match one.kind {
                Kind::Jwt(_) => {
                    let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
                    refusal.with(WWW_AUTHENTICATE, challenge)
                }
                _ => refusal,
            });
        }
        known.tell(&mut head.headers);
        Ok(())
    }

    fn name(&self, index: usize) -> &str {
        self.verifiers.get(index).map_or("", |one| &one.name)
    }

    /// Fetches keys for ever: now, at intervals, and when a token names an unknown one. For the control runtime, once for
    /// each gate, until that is replaced.
    pub async fn run(&self, ask: &dyn Ask) {
        let tokens = self.verifiers.iter().filter_map(|one| match &one.kind {
            Kind::Jwt(tokens) => Some(tokens.run(ask)),
            _ => None,
        });
        futures_util::future::join_all(tokens).await;
        std::future::pending::<()>().await;
    }

    /// Reads files again that changed. Blocks while it reads: for a thread that may. A file that cannot be used changes
    /// nothing; what is wrong with it is given back once.
    pub fn refresh_files(&self) -> Vec<FileError> {
        let mut errors = Vec::new();
        for one in &self.verifiers {
            let result = match &one.kind {
                Kind::Jwt(tokens) => tokens.refresh(),
                Kind::ApiKey(keys) => keys.refresh(),
                Kind::Basic(users) => users.refresh(),
                Kind::Certificate(_) | Kind::External(_) => Ok(false),
            };
            match result {
                Ok(false) => {}
                Ok(true) => tracing::info!(verifier = &*one.name, "a file of keys or users was read again"),
                Err(error) => errors.push(error),
            }
        }
        errors
    }
}

impl fmt::Debug for Gate {
    /// Names alone: nothing that a verifier holds is for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.verifiers.iter().map(|one| &one.name);
        f.debug_list().entries(names).finish()
    }
}

impl One {
    fn build(verifier: &Verifier, before: Option<&Gate>) -> Result<Self, BuildError> {
        let name: Arc<str> = verifier.name.as_str().into();
        let before = before.and_then(|gate| gate.verifiers.iter().find(|one| one.name == name));
        let before = before.map(|one| &one.kind);
        let passing = Passing { verifier: name.clone(), pass: verifier.pass.clone() };
        let challenge = |plain: &str, after_bad: &str| {
            Some((HeaderValue::try_from(plain).ok()?, HeaderValue::try_from(after_bad).ok()?))
        };
        let (kind, challenge) = match &verifier.kind {
            VerifierKind::Jwt(config) => {
                let before = before.and_then(|kind| if let Kind::Jwt(old) = kind { Some(old) } else { None });
                let tokens = Tokens::open(config, passing, before)?;
                (Kind::Jwt(tokens), challenge("Bearer", "Bearer error=\"invalid_token\""))
            }
            VerifierKind::ApiKey { header, path } => {
                let wanted = format!("ApiKey header=\"{header}\"");
                (Kind::ApiKey(ApiKeys::open(header, path, passing)?), challenge(&wanted, &wanted))
            }
            VerifierKind::Basic { realm, path } => {
                let before =
                    before.and_then(|kind| if let Kind::Basic(old) = kind { Some(old) } else { None });
                let wanted = format!("Basic realm=\"{}\", charset=\"UTF-8\"", quoted(realm));
                (Kind::Basic(Basic::open(path, passing, before)?), challenge(&wanted, &wanted))
            }
            VerifierKind::Certificate { subjects } => {
                (Kind::Certificate(Certificates::new(subjects, passing)), None)
            }
            VerifierKind::External(config) => (Kind::External(Externals::new(&verifier.name, config)?), None),
        };
        Ok(Self { name, kind, challenge })
    }

    /// The header that credentials of this kind are in.
    fn reads(&self) -> Option<&HeaderName> {
        match &self.kind {
            Kind::Jwt(tokens) => Some(tokens.header()),
            Kind::ApiKey(keys) => Some(keys.header()),
            Kind::Basic(_) => Some(&AUTHORIZATION),
            Kind::Certificate(_) | Kind::External(_) => None,
        }
    }

    fn check(&self, exchange: &Exchange, headers: &HeaderMap) -> Check {
        match &self.kind {
            Kind::Jwt(tokens) => tokens.check(headers, exchange.wall),
            Kind::ApiKey(keys) => keys.check(headers),
            Kind::Basic(users) => users.check(headers, exchange.started),
            Kind::Certificate(certificates) => certificates.check(&exchange.peer),
            // It says whether somebody may, not who it is.
            Kind::External(_) => Check::Absent,
        }
    }

    async fn settle(&self, exchange: &Exchange, headers: &HeaderMap) -> Check {
        match &self.kind {
            Kind::Jwt(tokens) => tokens.settle(headers, exchange.started, exchange.wall).await,
            Kind::Basic(users) => users.settle(headers, exchange.started).await,
            _ => Check::Absent,
        }
    }
}

/// A text within a quoted string (RFC 9110, section 5.6.4); what no header holds becomes a blank.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted
}

fn forbidden() -> Refusal {
    Refusal::new(Reason::Forbidden, "who asks may not use this resource")
}

/// An index of the configuration leads nowhere. Nobody is let in by a mistake of ours.
fn misbuilt() -> Refusal {
    Refusal::new(Reason::Internal, "the gateway cannot tell who may use this resource")
        .because("the route names a verifier that is not there, or is of another kind")
}
