//! The gateway at work: a request is refused, one is verified and changed, and a slow server loses its share.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use xdp_lb_tests::gateway::Gateway;
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::steady::{Seen, Steady};
use xdp_lb_tests::token::{Signer, seconds_from_now};
use xdp_lb_tests::wait::wait_until;

use crate::screen::{Row, Screen};

const SERVERS: usize = 3;
const FIRST_PORT: u16 = 9001;
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// How long a request takes at a server, and at the one that becomes slow.
const QUICK: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(150);

const CLIENTS: usize = 8;

const CONFIG: &str = r#"
[gateway]
threads = 1
[admin]
listen = "127.0.0.1:9401"
[log]
path = "{folder}/access.log"

[[listener]]
name = "public"
address = "127.0.0.1:8080"

[[pool]]
name = "movies"
balance = { warmup = "0s" }
[[pool.server]]
name = "movies-1"
address = "127.0.0.1:9001"
[[pool.server]]
name = "movies-2"
address = "127.0.0.1:9002"
[[pool.server]]
name = "movies-3"
address = "127.0.0.1:9003"

[[verifier]]
name = "tokens"
pass = { x-user = "subject" }
jwt = { file = "{folder}/jwks.json", algorithms = ["ES256"], issuer = "https://login.example.com", audience = ["movies"] }

[[openapi]]
name = "movies"
path = "{folder}/movies.yaml"

[[route]]
name = "add-movie"
path = "/api/movies"
methods = ["POST"]
pool = "movies"
[route.access]
any_of = ["tokens"]
claims = { scope = "movies:write" }
[route.openapi]
document = "movies"
base_path = "/api"
[route.request]
path = "/v2/movies"
[route.request.body]
rename = { "/released" = "year" }
set = { "/added_by" = "{identity}" }
[route.response.body]
drop = ["/secret"]

[[route]]
name = "movies"
prefix = "/api/movies"
methods = ["GET"]
pool = "movies"
"#;

const OPENAPI: &str = r"
openapi: 3.1.0
info: { title: movies, version: '1' }
paths:
  /movies:
    post:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [title, released]
              properties:
                title: { type: string, minLength: 1 }
                released: { type: integer, minimum: 1888 }
                genres: { type: array, items: { type: string } }
              additionalProperties: false
      responses:
        '200': { description: it was added }
";

/// Tells the story; whether everything claimed in it was seen.
pub(crate) fn tell(screen: &mut Screen, fast: bool) -> Result<bool> {
    let pause = if fast { Duration::from_secs(2) } else { Duration::from_secs(6) };
    let mut all_seen = true;
    let mut claim = |screen: &mut Screen, seen: bool, text: &str| {
        all_seen &= seen;
        screen.verdict(seen, text);
    };
    screen.chapter(
        "Three servers of one microservice, and the gateway before them, as a user without privileges",
    );
    let netns = Netns::new("gateway")?;
    let names: Vec<String> = (1..=SERVERS).map(|number| format!("movies-{number}")).collect();
    let servers =
        names.iter().zip(FIRST_PORT..).map(|(name, port)| Service::start(netns.handle(), name, port, QUICK));
    let servers: Vec<Service> = servers.collect::<Result<_>>()?;
    let mut gateway = Gateway::new(&netns)?;
    let signer = Signer::new("2026-11")?;
    gateway.write("jwks.json", signer.jwks())?;
    gateway.write("movies.yaml", OPENAPI)?;
    gateway.start(CONFIG)?;
    screen.say(&format!(
        "`xdp-lb gateway` at {ADDRESS}; its configuration: {}",
        gateway.folder().join("gateway.toml").display()
    ));
    let ask = |request: String| netns.run_in(|| ask(&request));

    screen.chapter("A request that two servers would read differently is refused");
    let smuggled = "POST /api/movies HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let (status, answer) = ask(smuggled.to_owned())?;
    screen.say("POST /api/movies with Content-Length and Transfer-Encoding");
    claim(screen, status == 400 && answer["reason"] == "bad_length", &format!("{status} {answer}"));

    screen.chapter("Who asks is verified, and so is what is asked");
    let movie = json!({"title": "The General", "released": "long ago", "budget": -1});
    let (status, answer) = ask(post(&movie, None))?;
    screen.say("POST /api/movies without a token");
    claim(screen, status == 401, &format!("{status} {}", answer["detail"]));
    let claims = json!({
        "iss": "https://login.example.com", "aud": "movies", "sub": "ann", "scope": "movies:read movies:write",
        "exp": seconds_from_now(3600),
    });
    let token = signer.sign(&claims)?;
    let (status, answer) = ask(post(&movie, Some(&token)))?;
    screen.say(&format!("the same with a token, and {movie} as a movie"));
    let violations = answer["violations"].as_array().map_or(0, Vec::len);
    claim(screen, status == 400 && violations == 2, &format!("{status}, every violation told:"));
    for violation in answer["violations"].as_array().into_iter().flatten() {
        screen.say(&format!("   {} {}", violation["pointer"], violation["detail"]));
    }

    screen.chapter("A request that is right is changed on its way, and so is its answer");
    let movie = json!({"title": "The General", "released": 1926});
    let (status, answer) = ask(post(&movie, Some(&token)))?;
    screen.say(&format!("POST /api/movies with {movie}"));
    screen.say(&format!("the server saw {} {} with {}", answer["method"], answer["path"], answer["body"]));
    let changed = json!({"title": "The General", "year": 1926, "added_by": "ann"});
    claim(screen, status == 200 && answer["body"] == changed, "a field was renamed, and who asks was added");
    claim(screen, answer["path"] == "/v2/movies", "the path is another");
    claim(
        screen,
        answer["headers"]["x-user"] == "ann",
        "the server is told who asks, in a header that clients cannot set",
    );
    claim(screen, answer.get("secret").is_none(), "what is for the inside only was taken out of the answer");

    screen.chapter("Every request goes to the freest server");
    let load = Steady::start(netns.handle(), ADDRESS, "/api/movies/7", CLIENTS);
    let even = watch(screen, &load, &gateway, &names, pause)?;
    let fair = names.iter().all(|name| (0.2..0.5).contains(&share(&even, name)));
    claim(
        screen,
        fair,
        &format!("each of three equal servers gets about a third: {}", shares(&even, &names)),
    );
    screen.chapter(&format!("movies-2 becomes {} times slower", SLOW.as_millis() / QUICK.as_millis()));
    servers[1].set_delay(SLOW);
    let slowed = watch(screen, &load, &gateway, &names, pause)?;
    let lost = share(&slowed, "movies-2") < 0.1;
    claim(screen, lost, &format!("it loses its share: {}", shares(&slowed, &names)));
    screen.chapter("It is as fast as before");
    servers[1].set_delay(QUICK);
    let mut before = load.seen();
    let returned = wait_until(Duration::from_secs(60), "movies-2 has its share again", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = load.seen();
        let lately = difference(&now, &before);
        before = now;
        (share(&lately, "movies-2") > 0.2).then_some(lately)
    });
    claim(
        screen,
        returned.is_ok(),
        &match &returned {
            Ok(seen) => format!("it has its share again: {}", shares(seen, &names)),
            Err(error) => format!("{error:#}"),
        },
    );
    let seen = load.stop();
    let good = seen.failures.is_empty() && seen.statuses.keys().all(|status| *status == 200);
    claim(screen, good, &format!("{} requests, {} failed", seen.answers(), seen.failures.len()));
    let ended = gateway.stop()?;
    let lines =
        std::fs::read_to_string(gateway.folder().join("access.log")).context("reading the access log")?;
    let refused =
        lines.lines().find(|line| line.contains("bad_length")).context("no line of the refused request")?;
    screen.chapter("What the access log says of the first request");
    screen.say(refused);
    claim(
        screen,
        ended.success() && !lines.contains(&token),
        "no token is in it, and the gateway ended in good order",
    );
    Ok(all_seen)
}

/// Shows the shares for a while and gives back what was seen in it.
fn watch(
    screen: &mut Screen,
    load: &Steady,
    gateway: &Gateway<'_>,
    names: &[String],
    time: Duration,
) -> Result<Seen> {
    const STEP: Duration = Duration::from_millis(500);
    let begin = load.seen();
    let mut last = begin.clone();
    for _ in 0..(time.as_millis() / STEP.as_millis()).max(1) {
        std::thread::sleep(STEP);
        let now = load.seen();
        let lately = difference(&now, &last);
        let status = gateway.status()?;
        let rows: Vec<Row> = names.iter().map(|name| row(name, &status, &lately, &now)).collect();
        screen.table(&rows, &format!("{} requests a second", 2 * lately.answers()));
        last = now;
    }
    Ok(difference(&last, &begin))
}

fn row(name: &str, status: &Value, lately: &Seen, all: &Seen) -> Row {
    let servers = status["pools"][0]["servers"].as_array().into_iter().flatten();
    let state = servers.filter(|server| server["name"] == name).find_map(|server| server["state"].as_str());
    Row {
        name: name.to_owned(),
        state: state.map(str::to_owned),
        share: share(lately, name),
        rate: usize::try_from(2 * lately.servers.get(name).copied().unwrap_or(0)).unwrap_or(usize::MAX),
        total: all.servers.get(name).copied().unwrap_or(0),
    }
}

fn difference(now: &Seen, before: &Seen) -> Seen {
    let mut lately = now.clone();
    for (name, count) in &mut lately.servers {
        *count -= before.servers.get(name).copied().unwrap_or(0);
    }
    for (status, count) in &mut lately.statuses {
        *count -= before.statuses.get(status).copied().unwrap_or(0);
    }
    lately
}

fn share(seen: &Seen, name: &str) -> f64 {
    let all: u64 = seen.servers.values().sum();
    seen.servers.get(name).copied().unwrap_or(0) as f64 / all.max(1) as f64
}

fn shares(seen: &Seen, names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let _ = write!(text, "{name} {:.0} %  ", 100.0 * share(seen, name));
    }
    text.trim_end().to_owned()
}

fn post(movie: &Value, token: Option<&str>) -> String {
    let body = movie.to_string();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    format!(
        "POST /api/movies HTTP/1.1\r\nHost: api.example.com\r\nX-User: root\r\nContent-Type: application/json\r\n{token}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends these bytes and reads the answer: its status, and its body as JSON.
fn ask(request: &str) -> Result<(u16, Value)> {
    let mut stream = TcpStream::connect(ADDRESS).context("connecting to the gateway")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading the answer")?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    Ok((status, serde_json::from_str(body).unwrap_or_else(|_| json!(body))))
}
