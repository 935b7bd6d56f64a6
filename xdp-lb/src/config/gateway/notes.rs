//! What is valid, and perhaps not meant.

use super::model::{
    Action, ContractMode, GatewayConfig, HostPattern, Jwt, Members, PathPattern, PoolConfig, RateKey, Route,
    Verifier, VerifierKind,
};
use super::route::matched_as;

impl GatewayConfig {
    /// What somebody should look at once, in words: `check` prints it and `gateway` logs it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.routes.is_empty() {
            notes.push("no [[route]]: every request is answered with 404".to_owned());
        }
        if self.gateway.handover_socket.is_none() {
            notes.push(
                "no gateway.handover_socket: a new process cannot take over the listening sockets, and a restart refuses \
                 connections meanwhile"
                    .to_owned(),
            );
        }
        if let Some(any) = self.gateway.trusted_proxies.iter().find(|prefix| prefix.prefix_len() == 0) {
            notes.push(format!(
                "gateway.trusted_proxies has {any}: any client may say that it is another, to rate limits and access \
                 lists too"
            ));
        }
        notes.extend(self.pools.iter().filter_map(pool));
        notes.extend(self.verifiers.iter().flat_map(|verifier| self.verifier(verifier)));
        for (index, route) in self.routes.iter().enumerate() {
            notes.extend(
                self.route(index, route).into_iter().map(|text| format!("route \"{}\": {text}", route.name)),
            );
        }
        notes.extend(self.unused());
        notes
    }

    fn verifier(&self, verifier: &Verifier) -> Vec<String> {
        let note = |text: &str| format!("verifier \"{}\": {text}", verifier.name);
        match &verifier.kind {
            VerifierKind::Jwt(Jwt { issuer: None, .. }) => {
                vec![note("no jwt.issuer: a token of anybody whose key is known is taken")]
            }
            VerifierKind::Jwt(Jwt { audience, .. }) if audience.is_empty() => {
                vec![note("no jwt.audience: a token that was made for another service is taken")]
            }
            VerifierKind::Basic { .. } => {
                let plain = self.listeners.iter().filter(|listener| listener.tls.is_none());
                plain
                    .map(|listener| {
                        note(&format!(
                            "listener \"{}\" has no TLS: passwords are sent as plain text",
                            listener.name
                        ))
                    })
                    .collect()
            }
            VerifierKind::External(external) if external.fail_open => {
                vec![note("external.fail_open: whoever silences the service is let in")]
            }
            _ => Vec::new(),
        }
    }

    fn route(&self, index: usize, route: &Route) -> Vec<String> {
        let mut notes = Vec::new();
        let earlier = self.routes.iter().take(index);
        if let Some(other) = earlier.into_iter().find(|other| takes_all(other, route)) {
            notes.push(format!(
                "never reached, as route \"{}\" before it takes every request for its hosts, path and methods: move it up",
                other.name
            ));
        }
        for limit in route.rate_limits.iter().filter_map(|limit| self.rate_limits.get(*limit)) {
            let has = |test: fn(&VerifierKind) -> bool| {
                let mut kinds =
                    route.access.any_of.iter().filter_map(|verifier| self.verifiers.get(*verifier));
                kinds.any(|verifier| test(&verifier.kind))
            };
            let lacks = match &limit.key {
                RateKey::ApiKey if !has(|kind| matches!(kind, VerifierKind::ApiKey { .. })) => "API key",
                RateKey::Claim(_) if !has(|kind| matches!(kind, VerifierKind::Jwt(_))) => "token",
                _ => continue,
            };
            notes.push(format!(
                "rate limit \"{}\" counts by address, as no {lacks} is verified here",
                limit.name
            ));
        }
        let by = |mode: fn(&ContractMode) -> bool| {
            route.contract.as_ref().is_some_and(|contract| mode(&contract.responses))
        };
        if !matches!(route.action, Action::Forward(_)) && by(|mode| *mode == ContractMode::Enforce) {
            notes.push("openapi.responses has no effect, as the gateway answers itself".to_owned());
        }
        notes
    }

    /// What is defined and named nowhere.
    fn unused(&self) -> Vec<String> {
        let mut pools: Vec<usize> = Vec::new();
        let mut documents = Vec::new();
        let mut verifiers: Vec<usize> = Vec::new();
        let mut limits: Vec<usize> = Vec::new();
        for route in &self.routes {
            if let Action::Forward(shares) = &route.action {
                pools.extend(shares.iter().map(|(pool, _)| *pool));
            }
            pools.extend(route.mirror.iter().map(|mirror| mirror.pool));
            documents.extend(route.contract.iter().map(|contract| contract.document));
            verifiers.extend(route.access.any_of.iter().chain(&route.access.external));
            limits.extend(&route.rate_limits);
        }
        for verifier in &self.verifiers {
            match &verifier.kind {
                VerifierKind::Jwt(Jwt { keys: super::model::JwtKeys::Fetched { pool, .. }, .. }) => {
                    pools.push(*pool);
                }
                VerifierKind::External(external) => pools.push(external.pool),
                _ => {}
            }
        }
        let unused = |what: &str, names: Vec<&String>, used: &[usize]| -> Vec<String> {
            let idle = names.into_iter().enumerate().filter(|(index, _)| !used.contains(index));
            idle.map(|(_, name)| format!("{what} \"{name}\" is not used")).collect()
        };
        let names = (
            self.pools.iter().map(|pool| &pool.name).collect(),
            self.verifiers.iter().map(|verifier| &verifier.name).collect(),
            self.rate_limits.iter().map(|limit| &limit.name).collect(),
            self.documents.iter().map(|document| &document.name).collect(),
        );
        [
            unused("pool", names.0, &pools),
            unused("verifier", names.1, &verifiers),
            unused("rate limit", names.2, &limits),
            unused("openapi", names.3, &documents),
        ]
        .concat()
    }
}

fn pool(pool: &PoolConfig) -> Option<String> {
    let note = |text: &str| Some(format!("pool \"{}\": {text}", pool.name));
    if let Members::Static(servers) = &pool.members {
        if servers.iter().all(|server| server.weight.get() == 0) {
            return note("every server has weight 0: it answers nothing but 503");
        }
        if servers.len() == 1 && pool.retry.tries > 2 {
            return note("retry.tries has no effect with one server, as none is tried twice");
        }
    }
    if pool.tls.as_ref().is_some_and(|tls| !tls.verify) {
        return note("tls.verify = false: whoever answers is taken for the server");
    }
    None
}

/// Whether `earlier` leaves nothing for `later`.
fn takes_all(earlier: &Route, later: &Route) -> bool {
    let host = |host: &HostPattern| earlier.hosts.contains(host);
    let hosts = if later.hosts.is_empty() { earlier.hosts.is_empty() } else { later.hosts.iter().all(host) };
    let methods = earlier.methods.is_empty()
        || !later.methods.is_empty() && later.methods.iter().all(|method| earlier.methods.contains(method));
    earlier.conditions.is_empty() && hosts && methods && same(&earlier.path, &later.path)
}

fn same(one: &PathPattern, other: &PathPattern) -> bool {
    matched_as(one) == matched_as(other)
}
