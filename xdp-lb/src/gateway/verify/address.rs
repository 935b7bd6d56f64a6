use std::net::IpAddr;

use crate::config::gateway::Access;
use crate::gateway::{Reason, Refusal};

/// Whether a client's address may use a route: not if it is denied, and if some are allowed only as one of these.
pub(super) fn check(access: &Access, client: IpAddr) -> Result<(), Refusal> {
    if access.deny.is_empty() && access.allow.is_empty() {
        return Ok(());
    }
    // An IPv4 client of a socket that takes both families is the same client.
    let client = client.to_canonical();
    let denied = access.deny.iter().any(|net| net.contains(&client));
    if denied || !(access.allow.is_empty() || access.allow.iter().any(|net| net.contains(&client))) {
        return Err(Refusal::new(Reason::AddressRefused, "this address may not use this resource"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_goes_before_allowed() {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        for (allow, deny, client, passes) in [
            (&[][..], &[][..], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "::ffff:192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "198.51.100.1", false),
            (&["192.0.2.0/24"], &["192.0.2.1/32"], "192.0.2.1", false),
            (&[], &["192.0.2.1/32"], "::ffff:192.0.2.1", false),
            (&[], &["192.0.2.1/32"], "192.0.2.2", true),
            (&["2001:db8::/32"], &[], "2001:db8::1", true),
            (&["0.0.0.0/0"], &[], "2001:db8::1", false),
        ] {
            let access = Access { allow: nets(allow), deny: nets(deny), ..Access::default() };
            let result = check(&access, client.parse().unwrap());
            assert_eq!(result.is_ok(), passes, "{allow:?} {deny:?} {client}");
        }
    }
}
