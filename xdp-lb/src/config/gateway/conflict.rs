//! What is wrong only in relation to something else in the file.

use http::Method;

use super::model::{ClientAuth, HostPattern, Jwt, Listener, Verifier, VerifierKind};
use super::route::{RawRoute, matched_as};
use crate::config::section::Section;
use crate::config::source::Source;

/// A verifier of certificates needs somebody to ask for them. `listeners` is `None` when one of them is wrong.
pub(super) fn certificates(
    tables: &[Section<'_>],
    verifiers: &[Option<Verifier>],
    listeners: Option<&[Listener]>,
) {
    let Some(listeners) = listeners else { return };
    let asks =
        |listener: &Listener| listener.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::Off);
    if listeners.iter().any(asks) {
        return;
    }
    for (table, verifier) in tables.iter().zip(verifiers) {
        if verifier.as_ref().is_some_and(|verifier| matches!(verifier.kind, VerifierKind::Certificate { .. }))
        {
            let message = "no listener asks clients for certificates: set client_auth in a [listener.tls]";
            table.useless("certificate", message);
        }
    }
}

/// Clients' own headers of the names that verifiers pass on are removed, before any verifier looks for its secrets.
pub(super) fn passed_on(tables: &[Section<'_>], verifiers: &[Option<Verifier>]) {
    let read = |verifier: &Verifier| match &verifier.kind {
        VerifierKind::ApiKey { header, .. } | VerifierKind::Jwt(Jwt { header, .. }) => Some(header.clone()),
        VerifierKind::Basic { .. } => Some(http::header::AUTHORIZATION),
        VerifierKind::Certificate { .. } | VerifierKind::External(_) => None,
    };
    for (table, verifier) in tables.iter().zip(verifiers) {
        for (header, _) in verifier.iter().flat_map(|verifier| &verifier.pass) {
            if let Some(reader) =
                verifiers.iter().flatten().find(|other| read(other).as_ref() == Some(header))
            {
                let message = format!(
                    "has {header}, in which verifier {:?} looks for secrets, and clients' own are removed: pass it on by \
                     another name",
                    reader.name
                );
                table.useless("pass", &message);
            }
        }
    }
}

/// No two routes may take the same requests.
pub(super) fn routes(source: &Source<'_>, routes: &[RawRoute]) {
    let unconditional = routes.iter().filter_map(|route| {
        let matching = &route.matching;
        let mut hosts: Vec<&HostPattern> = matching.hosts.iter().flatten().collect();
        hosts.sort_unstable();
        let mut methods: Vec<&str> = matching.methods.iter().flatten().map(Method::as_str).collect();
        methods.sort_unstable();
        let whole = matching.hosts.is_some() && matching.methods.is_some();
        let path = matching.path.value.as_ref().filter(|_| whole)?;
        let conditions = matching.conditions.as_ref()?;
        conditions.is_empty().then(|| ((hosts, matched_as(path), methods), &route.place))
    });
    source.unique(unconditional, |line| {
        format!(
            "the route in line {line} has the same hosts, path and methods and no conditions, and takes all: change one, \
             or add a condition to that"
        )
    });
}
