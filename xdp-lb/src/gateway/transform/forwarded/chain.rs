use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};

use super::element::{address, elements, scheme};
use super::{X_FORWARDED_FOR, X_FORWARDED_PROTO, trusts};
use crate::config::gateway::Gateway;
use crate::gateway::Scheme;

/// The client by `X-Forwarded-For`, which came from a trusted proxy at `peer`.
pub(super) fn by_x(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer;
    for list in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let Ok(list) = list.to_str() else { return client };
        for entry in list.rsplit(',') {
            let Some(address) = address(entry.trim_matches([' ', '\t'])) else { return client };
            client = address;
            if !trusts(gateway, client) {
                return client;
            }
        }
    }
    client
}

/// The scheme by `X-Forwarded-Proto`. Of several the last counts, which the nearest proxy wrote.
pub(super) fn proto(headers: &HeaderMap) -> Option<Scheme> {
    let last = headers.get_all(X_FORWARDED_PROTO).iter().next_back().and_then(text)?;
    scheme(last.rsplit(',').next()?.trim_matches([' ', '\t']))
}

/// The client and what it used by `Forwarded`, which came from a trusted proxy at `peer`.
pub(super) fn by_standard(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, Option<Scheme>) {
    let mut found = (peer, None);
    for list in headers.get_all(FORWARDED).iter().rev() {
        let Some(list) = text(list) else { return found };
        for element in elements(list).into_iter().rev() {
            let Some(element) = element else { return found };
            let Some(address) = element.address else { return found };
            found = (address, element.scheme);
            if !trusts(gateway, address) {
                return found;
            }
        }
    }
    found
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}
