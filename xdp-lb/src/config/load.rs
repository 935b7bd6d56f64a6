//! The ways in: from a path or a text to a configuration.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::agent::{RawAgent, admin};
use super::cross;
use super::decap::{self, decap};
use super::error::{Errors, LoadError, Problem};
use super::gateway::{self, GatewayConfig};
use super::model::{Config, DecapConfig, Valid};
use super::section::{Schema, Section};
use super::source::read;
use super::vip::{RawVip, VIP};

/// The whole of `lb.toml`.
pub(super) const FILE: Schema = Schema {
    header: "lb.toml",
    keys: &["agent", "admin", "vip"],
    refused: &[
        ("decap", "belongs to a backend's decap.toml, which `xdp-lb decap` reads"),
        ("gateway", GATEWAYS),
        ("listener", GATEWAYS),
        ("pool", GATEWAYS),
        ("route", GATEWAYS),
    ],
    outer: None,
};

const GATEWAYS: &str = "belongs to gateway.toml, which `xdp-lb gateway` reads";

/// A configuration of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// `lb.toml`, for `xdp-lb run`.
    Balancer(Box<Config>),
    /// `decap.toml`, for `xdp-lb decap`.
    Backend(DecapConfig),
    /// `gateway.toml`, for `xdp-lb gateway`.
    Gateway(Box<GatewayConfig>),
}

impl File {
    /// Reads the file at `path`: the gateway's when it has a table `[gateway]`, `[[listener]]` or `[[route]]`, a
    /// backend's when it has `[decap]` and no `[agent]`.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = text(path)?;
        let tables = toml::de::DeTable::parse_recoverable(&text).0.into_inner();
        let has = |key| tables.contains_key(key);
        Ok(if has("gateway") || has("listener") || has("route") {
            Self::Gateway(Box::new(GatewayConfig::from_toml(&text, path)?))
        } else if has("decap") && !has("agent") {
            Self::Backend(DecapConfig::from_toml(&text, path)?)
        } else {
            Self::Balancer(Box::new(Config::from_toml(&text, path)?))
        })
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::from_toml(&text(path)?, path)?)
    }

    /// Reads `text`, which came from `file`.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, Errors> {
        read(text, file, |source, root| {
            let root = Section::root(source, root, &FILE);
            let agent = RawAgent::read(&root);
            let admin = admin(&root);
            let vips: Vec<RawVip> = root.tables("vip", &VIP).iter().map(RawVip::read).collect();
            cross::check(source, &agent, &vips);
            Some(Self {
                agent: agent.build()?,
                admin: admin?,
                vips: vips.into_iter().map(RawVip::build).collect::<Option<_>>()?,
                valid: Valid,
            })
        })
    }
}

impl DecapConfig {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::from_toml(&text(path)?, path)?)
    }

    /// Reads `text`, which came from `file`.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, Errors> {
        read(text, file, |source, root| decap(&Section::root(source, root, &decap::FILE)))
    }
}

impl GatewayConfig {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::from_toml(&text(path)?, path)?)
    }

    /// Reads `text`, which came from `file`.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, Errors> {
        read(text, file, |source, root| gateway::whole(&Section::root(source, root, &gateway::FILE)))
    }
}

/// Longest file read: room for the most backends there can be, many times over.
const LONGEST_FILE: u64 = 16 << 20;

fn text(path: &Path) -> Result<String, LoadError> {
    let unreadable = |reason| LoadError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(unreadable(io::Error::other("longer than 16 MiB, which no configuration is")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = "not UTF-8 text: save the file as UTF-8".to_owned();
        Errors::new(path, vec![Problem { line, subject: String::new(), message }]).into()
    })
}
