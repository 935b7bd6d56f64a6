//! `[[listener]]` and `[listener.tls]`: read and checked.

use std::net::SocketAddr;

use super::model::{CertificateFiles, ClientAuth, GatewayAdmin, Listener, ListenerTls, TlsVersion};
use super::names::Names;
use crate::config::net::listen;
use crate::config::rules::{absolute_path, boolean, one_of};
use crate::config::section::{Field, Schema, Section};
use crate::config::source::{Place, Source};

pub(super) const LISTENER: Schema = Schema {
    header: "[[listener]]",
    keys: &["name", "address", "proxy_protocol", "http2", "tls"],
    refused: &[
        ("port", "unknown key: it is part of the address, as \"0.0.0.0:8080\""),
        ("listen", "unknown key: it is called `address`"),
    ],
    outer: None,
};

const TLS: Schema = Schema {
    header: "[listener.tls]",
    keys: &["certificates", "client_auth", "client_ca", "min_version"],
    refused: &[
        ("certificate", "unknown key: write certificates = [{ certificate = \"…\", key = \"…\" }]"),
        ("key", "unknown key: write certificates = [{ certificate = \"…\", key = \"…\" }]"),
    ],
    outer: Some(&LISTENER),
};

const CERTIFICATE: Schema = Schema {
    header: "[[listener.tls.certificates]]",
    keys: &["certificate", "key"],
    refused: &[],
    outer: Some(&TLS),
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 3] =
    [(&LISTENER, &["tls"]), (&TLS, &["certificates"]), (&CERTIFICATE, &[])];

/// All listeners; `None` when one is wrong. No two listen at one address, nor where the admin's does.
pub(super) fn all(tables: &[Section<'_>], admin: &Field<GatewayAdmin>) -> Option<Vec<Listener>> {
    let names = Names::read(tables, "[[listener]]");
    let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
    if let (true, Some(admin_at)) = (admin.given, &admin.value) {
        taken.push((admin_at.listen, admin.place.clone()));
    }
    let read: Vec<Option<Listener>> =
        tables.iter().zip(names.each()).map(|(table, name)| listener(table, name, &mut taken)).collect();
    read.into_iter().collect()
}

fn listener(
    table: &Section<'_>,
    name: Option<String>,
    taken: &mut Vec<(SocketAddr, Place)>,
) -> Option<Listener> {
    let address = table.required("address", listen());
    let proxy_protocol = table.or("proxy_protocol", boolean(), false);
    let http2 = table.or("http2", boolean(), true);
    let tls = tls(table);
    if let Some(at) = address.value {
        is_free(table.source(), taken, at, &address.place);
        taken.push((at, address.place));
    }
    Some(Listener {
        name: name?,
        address: address.value?,
        proxy_protocol: proxy_protocol.value?,
        http2: http2.value?,
        tls: tls?,
    })
}

fn is_free(source: &Source<'_>, taken: &[(SocketAddr, Place)], at: SocketAddr, place: &Place) {
    let overlaps = |other: &SocketAddr| {
        other.port() == at.port()
            && other.is_ipv4() == at.is_ipv4()
            && (other.ip() == at.ip() || other.ip().is_unspecified() || at.ip().is_unspecified())
    };
    if let Some((other, first)) = taken.iter().find(|(other, _)| overlaps(other)) {
        let line = source.line(first.offset);
        let message = if *other == at {
            format!("line {line} listens there too: give each its own address or port")
        } else {
            format!(
                "line {line} listens at {other}, and one of the two takes that port of every address: change one"
            )
        };
        source.report(place, message);
    }
}

/// `Some(None)` where the table is left out.
fn tls(listener: &Section<'_>) -> Option<Option<ListenerTls>> {
    let table = listener.table("tls", &TLS);
    if !table.is_given() {
        return Some(None);
    }
    let files = table.tables("certificates", &CERTIFICATE);
    if files.is_empty() {
        table.missing(
            "certificates",
            "a list of 1 or more, as [{ certificate = \"/etc/tls/a.pem\", key = \"/etc/tls/a.key\" }]",
        );
    }
    let certificates: Vec<Option<CertificateFiles>> = files
        .iter()
        .map(|file| {
            let certificate = file.required("certificate", absolute_path(4_095));
            let key = file.required("key", absolute_path(4_095));
            Some(CertificateFiles { certificate: certificate.value?, key: key.value? })
        })
        .collect();
    let client_auth = table.or("client_auth", one_of(CLIENT_AUTH, &[]), ClientAuth::Off);
    let client_ca = table.optional("client_ca", absolute_path(4_095));
    let min_version = table.or("min_version", one_of(VERSIONS, OLD_VERSIONS), TlsVersion::Tls12);
    match client_auth.value {
        Some(ClientAuth::Off) => {
            let by_default = if client_auth.given { "" } else { ", the default" };
            table.useless(
                "client_ca",
                &format!("has no effect with client_auth = \"off\"{by_default}: set \"optional\" or \"required\", or remove this"),
            );
        }
        Some(_) if !client_ca.given => {
            let expected = "a file with the authorities that clients' certificates are signed by, as client_auth asks for them";
            table.missing("client_ca", expected);
        }
        _ => {}
    }
    Some(Some(ListenerTls {
        certificates: certificates.into_iter().collect::<Option<_>>()?,
        client_auth: client_auth.value?,
        client_ca: client_ca.maybe()?,
        min_version: min_version.value?,
    }))
}

const CLIENT_AUTH: &[(&str, ClientAuth)] =
    &[("off", ClientAuth::Off), ("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];

const VERSIONS: &[(&str, TlsVersion)] = &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

const OLD_VERSIONS: &[(&str, &str)] =
    &[("1.0", "it is broken, and not spoken here"), ("1.1", "it is broken, and not spoken here")];
