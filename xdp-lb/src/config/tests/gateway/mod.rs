//! `gateway.toml`: tables of what is refused and how; what is accepted, with every default; what is noted.

use std::fmt::Write as _;
use std::path::Path;

use super::super::gateway::GatewayConfig;

mod accepted;
mod access;
mod answer;
mod changes;
mod defaults;
mod limit;
mod listener;
mod notes;
mod observe;
mod pool;
mod process;
mod route;
mod verifier;

/// What is tried out, after what, and every line that is said of it.
type Row = (&'static str, At, &'static str, &'static [&'static str]);

/// What stands above the text of a row.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Nothing.
    File,
    /// A listener.
    Top,
    /// A listener and a pool.
    Pool,
    /// A listener and a pool without servers.
    BarePool,
    /// A listener, a pool and the name of a verifier.
    Verifier,
    /// A listener, a pool, a verifier and a route.
    Route,
    /// The same, and what the route does is left out.
    BareRoute,
}

const LISTENER: &str = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:8080\"\n";
const POOL: &str = "[[pool]]\nname = \"p\"\nserver = [{ address = \"10.0.0.1:80\" }]\n";
const TOKENS: &str = "[[verifier]]\nname = \"t\"\njwt = { file = \"/k\", algorithms = [\"RS256\"] }\n";

impl At {
    fn around(self, text: &str) -> String {
        match self {
            Self::File => text.to_owned(),
            Self::Top => format!("{LISTENER}{text}"),
            Self::Pool => format!("{LISTENER}{POOL}{text}"),
            Self::BarePool => format!("{LISTENER}[[pool]]\nname = \"p\"\n{text}"),
            Self::Verifier => format!("{LISTENER}{POOL}[[verifier]]\nname = \"v\"\n{text}"),
            Self::Route => format!("{LISTENER}{POOL}{TOKENS}[[route]]\nname = \"r\"\npool = \"p\"\n{text}"),
            Self::BareRoute => format!("{LISTENER}{POOL}{TOKENS}[[route]]\nname = \"r\"\n{text}"),
        }
    }
}

fn config(text: &str) -> GatewayConfig {
    GatewayConfig::from_toml(text, Path::new("gateway.toml"))
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// Asserts that every row is refused in exactly its words.
fn refuse(rows: &[Row]) {
    let mut wrong = String::new();
    for (description, at, text, expected) in rows {
        let text = at.around(text);
        let said = GatewayConfig::from_toml(&text, Path::new("gateway.toml")).err();
        let said = said.map(|errors| errors.to_string()).unwrap_or_default();
        let expected = expected.join("\n");
        if said != expected {
            let _ = writeln!(wrong, "--- {description}\n{text}\n--- says\n{said}\n--- for\n{expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
