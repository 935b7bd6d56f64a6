use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::gateway::verify::{hash_key, hash_password};

/// Turn a secret into a line for a file of API keys or users, which then holds no secret.
///
/// The secret is read from standard input, one line, and never shown. An API key becomes `NAME sha256`, a password
/// `NAME:$argon2id$…`. The gateway reads such a file again when it changes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  openssl rand -hex 32 | tee billing.key | xdp-lb hash-secret billing >> /etc/xdp-lb/keys
                                           a new key: billing.key is for the client alone
  systemd-ask-password | xdp-lb hash-secret --kind password alice >> /etc/xdp-lb/users
                                           a password, typed unseen")]
pub(super) struct HashArgs {
    /// What the secret is: keys are made by machines, passwords are remembered by people
    #[arg(long, value_enum, default_value = "api-key")]
    kind: Kind,
    /// Whose it is; servers and logs are told this name
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    ApiKey,
    Password,
}

pub(super) fn run(args: &HashArgs) -> ExitCode {
    match line(args) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn line(args: &HashArgs) -> Result<String, String> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        return Err("a terminal would show the secret: pipe it in, as in the examples of --help".to_owned());
    }
    let mut secret = Vec::new();
    // One byte more than any secret that the gateway takes.
    input
        .by_ref()
        .take((16 << 10) + 1)
        .read_to_end(&mut secret)
        .map_err(|error| format!("standard input: {error}"))?;
    hashed(args.kind, &args.name, &secret)
}

fn hashed(kind: Kind, name: &str, input: &[u8]) -> Result<String, String> {
    let secret = input.strip_suffix(b"\n").unwrap_or(input);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() > 16 << 10 {
        return Err("the secret is longer than 16 KiB".to_owned());
    }
    let line = match kind {
        Kind::ApiKey => hash_key(name, secret),
        Kind::Password => hash_password(name, secret),
    };
    line.map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_one_line_and_not_in_the_output() {
        let key = "0123456789abcdef";
        let line = hashed(Kind::ApiKey, "a", format!("{key}\n").as_bytes()).unwrap();
        assert_eq!(line, hashed(Kind::ApiKey, "a", format!("{key}\r\n").as_bytes()).unwrap());
        assert!(!line.contains(key));
        assert!(hashed(Kind::ApiKey, "a", format!("{key}\n{key}\n").as_bytes()).is_err());
        let line = hashed(Kind::Password, "a", b"secret word\n").unwrap();
        assert!(line.starts_with("a:$argon2id$v=19$m=19456,t=2,p=1$") && !line.contains("secret"), "{line}");
        assert!(hashed(Kind::Password, "a:b", b"secret").is_err());
        assert!(hashed(Kind::Password, "a", b"\n").is_err());
    }
}
