use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::signing::{Signer, encode};
use super::*;
use crate::config::gateway::JwtAlgorithm::*;
use crate::config::gateway::{ClaimTest, JwtAlgorithm};

const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn config(keys: &std::path::Path, algorithms: &[JwtAlgorithm]) -> Jwt {
    Jwt {
        keys: JwtKeys::File(keys.to_owned()),
        algorithms: algorithms.to_vec(),
        issuer: Some("https://issuer.example".to_owned()),
        audience: vec!["api".to_owned(), "other".to_owned()],
        claims: vec![("scope".to_owned(), ClaimTest::OneOf(vec!["read".to_owned()]))],
        leeway: Duration::from_secs(10),
        header: AUTHORIZATION,
    }
}

/// A verifier with these keys, and the file that they are in.
fn verifier(keys: &[Value], algorithms: &[JwtAlgorithm]) -> (Tokens, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({"keys": keys}).to_string()).unwrap();
    let passing = Passing { verifier: "jwt".into(), pass: Vec::new() };
    (Tokens::open(&config(file.path(), algorithms), passing, None).unwrap(), file)
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "api", "sub": "alice", "scope": "read write",
        "exp": NOW + 60, "nbf": NOW - 60, "iat": NOW - 60
    })
}

/// These claims with others in place of some; null takes one away.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn bearer(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap())])
}

fn word(check: &Check) -> &'static str {
    match check {
        Check::Known(_) => "known",
        Check::Absent => "absent",
        Check::Refused(why) => why,
        Check::Down(_) => "down",
        Check::Later => "later",
    }
}

#[test]
fn each_algorithm_verifies_its_own_signatures_and_no_others() {
    let secret = Signer::Secret(vec![7; 64]);
    let (rsa, p256, p384, ed25519) = (Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519());
    let all = [
        ("HS256", Hs256, &secret),
        ("HS384", Hs384, &secret),
        ("HS512", Hs512, &secret),
        ("RS256", Rs256, &rsa),
        ("RS384", Rs384, &rsa),
        ("RS512", Rs512, &rsa),
        ("PS256", Ps256, &rsa),
        ("PS384", Ps384, &rsa),
        ("PS512", Ps512, &rsa),
        ("ES256", Es256, &p256),
        ("ES384", Es384, &p384),
        ("EdDSA", EdDsa, &ed25519),
    ];
    let every: Vec<_> = all.iter().map(|(_, algorithm, _)| *algorithm).collect();
    let keys: Vec<_> = [&secret, &rsa, &p256, &p384, &ed25519].iter().map(|key| key.jwk("k")).collect();
    for (name, algorithm, signer) in &all {
        let token = signer.sign(&json!({"alg": name, "kid": "k"}), &claims());
        // All keys have the same name: only those of the right type are tried.
        let (verifier, _file) = verifier(&keys, &every);
        assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), "known", "{name}");
        for (other, allowed, _) in &all {
            let (verifier, _file) = self::verifier(&[signer.jwk("k")], &[*allowed]);
            let check = verifier.check(&bearer(&token), at(NOW));
            assert_eq!(word(&check) == "known", allowed == algorithm, "{name} where {other} is allowed");
            // The signature of one algorithm under the name of another.
            let message = format!("{}.{}", encode(json!({"alg": other}).to_string().as_bytes()), "");
            let signature = token.rsplit('.').next().unwrap();
            let payload = token.split('.').nth(1).unwrap();
            let forged = format!("{message}{payload}.{signature}");
            let (verifier, _file) = self::verifier(&keys, &every);
            assert_ne!(word(&verifier.check(&bearer(&forged), at(NOW))), "known", "{name} as {other}");
        }
    }
}

#[test]
fn attacks_on_the_header_are_refused() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let stranger = Signer::p256();
    let (verifier, _file) = verifier(&[rsa.jwk("r"), p256.jwk("e")], &[Rs256, Es256, Hs256]);
    let n = rsa.jwk("r")["n"].as_str().unwrap().to_owned();
    // What an attacker has of the RSA key, in the forms that libraries were once confused by.
    let rsa_pem = rsa_pem(&rsa);
    let unsigned = |header: Value| {
        format!("{}.{}.", encode(header.to_string().as_bytes()), encode(claims().to_string().as_bytes()))
    };
    let good = p256.sign(&json!({"alg": "ES256", "kid": "e"}), &claims());
    let cut = |token: &str, end: usize| token[..token.len() - end].to_owned();
    for (what, token) in [
        ("none", unsigned(json!({"alg": "none"}))),
        ("None", unsigned(json!({"alg": "None"}))),
        ("NONE with a key", unsigned(json!({"alg": "NONE", "kid": "e"}))),
        ("no algorithm", unsigned(json!({"kid": "e"}))),
        ("an algorithm as a list", unsigned(json!({"alg": ["ES256"]}))),
        ("an empty signature", unsigned(json!({"alg": "ES256", "kid": "e"}))),
        ("an empty MAC", unsigned(json!({"alg": "HS256", "kid": "r"}))),
        (
            "the PEM as a secret",
            Signer::Secret(rsa_pem.clone().into()).sign(&json!({"alg": "HS256", "kid": "r"}), &claims()),
        ),
        (
            "the modulus as a secret",
            Signer::Secret(n.into()).sign(&json!({"alg": "HS256", "kid": "r"}), &claims()),
        ),
        ("no secret", Signer::Secret(vec![]).sign(&json!({"alg": "HS256"}), &claims())),
        ("a key in the token", stranger.sign(&json!({"alg": "ES256", "jwk": stranger.jwk("e")}), &claims())),
        (
            "a key in the token, named",
            stranger.sign(&json!({"alg": "ES256", "kid": "e", "jwk": stranger.jwk("e")}), &claims()),
        ),
        (
            "a set elsewhere",
            stranger.sign(&json!({"alg": "ES256", "jku": "https://evil.example/jwks"}), &claims()),
        ),
        (
            "certificates",
            stranger
                .sign(&json!({"alg": "ES256", "x5u": "https://evil.example", "x5c": ["MA=="]}), &claims()),
        ),
        (
            "a name that is a path",
            stranger.sign(&json!({"alg": "ES256", "kid": "../../dev/null"}), &claims()),
        ),
        ("another key's name", p256.sign(&json!({"alg": "ES256", "kid": "r"}), &claims())),
        ("critical extensions", p256.sign(&json!({"alg": "ES256", "kid": "e", "crit": ["exp"]}), &claims())),
        ("an unencoded payload", p256.sign(&json!({"alg": "ES256", "kid": "e", "b64": false}), &claims())),
        ("compression", p256.sign(&json!({"alg": "ES256", "kid": "e", "zip": "DEF"}), &claims())),
        ("another use", p256.sign(&json!({"alg": "ES256", "kid": "e", "typ": "logout+jwt"}), &claims())),
        ("no object", p256.sign(&json!({"alg": "ES256", "kid": "e"}), &json!(["exp"]))),
        ("two parts", good.rsplit_once('.').unwrap().0.to_owned()),
        ("four parts", format!("{good}.")),
        ("five parts", format!("{good}.a.b")),
        ("a shorter signature", cut(&good, 1)),
        ("padding", format!("{good}=")),
        ("a blank", good.replacen('.', ". ", 1)),
        ("dots", "..".to_owned()),
    ] {
        let check = verifier.check(&bearer(&token), at(NOW));
        assert!(!matches!(check, Check::Known(_) | Check::Absent), "{what}");
    }
    // Two algorithms in one header: parsers disagree which counts.
    let header = encode(br#"{"alg":"none","alg":"ES256","kid":"e"}"#);
    let twice = format!("{header}.{}", good.split_once('.').unwrap().1);
    assert!(matches!(verifier.check(&bearer(&twice), at(NOW)), Check::Refused(_)));
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        let token = p256.sign(&json!({"alg": "ES256", "kid": "e", "typ": typ}), &claims());
        assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), "known", "{typ}");
    }
    // Each byte of a good token matters.
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_ne!(word(&verifier.check(&bearer(&changed), at(NOW))), "known", "{index}");
    }
    assert_eq!(word(&verifier.check(&bearer(&good), at(NOW))), "known");
}

/// The public key as its owner would publish it.
fn rsa_pem(rsa: &Signer) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let Signer::Rsa(key) = rsa else { panic!("an RSA key") };
    let der = STANDARD.encode(ring::signature::KeyPair::public_key(&**key).as_ref());
    format!("-----BEGIN RSA PUBLIC KEY-----\n{der}\n-----END RSA PUBLIC KEY-----\n")
}

#[test]
fn claims_have_to_be_right() {
    let key = Signer::Secret(vec![1; 32]);
    let (verifier, _file) = verifier(&[key.jwk("k")], &[Hs256]);
    for (changes, known) in [
        (json!({}), true),
        (json!({"exp": NOW - 9}), true),
        (json!({"exp": NOW - 10}), false),
        (json!({"exp": null}), false),
        (json!({"exp": "soon"}), false),
        (json!({"nbf": NOW + 11}), false),
        (json!({"nbf": null, "iat": null}), true),
        (json!({"iat": NOW + 11}), false),
        (json!({"iss": "https://issuer.example/"}), false),
        (json!({"iss": ["https://issuer.example"]}), false),
        (json!({"iss": null}), false),
        (json!({"aud": "web"}), false),
        (json!({"aud": "api web"}), false),
        (json!({"aud": ["web", "other"]}), true),
        (json!({"aud": ["web"]}), false),
        (json!({"aud": []}), false),
        (json!({"aud": {"api": true}}), false),
        (json!({"aud": null}), false),
        (json!({"scope": "write"}), false),
        (json!({"scope": ["read"]}), true),
        (json!({"scope": null}), false),
        (json!({"sub": null}), true),
        (json!({"sub": 7}), false),
        (json!({"sub": {"a": "alice"}}), false),
    ] {
        let token = key.sign(&json!({"alg": "HS256", "kid": "k"}), &with(&changes));
        let check = verifier.check(&bearer(&token), at(NOW));
        assert_eq!(word(&check) == "known", known, "{changes} {}", word(&check));
    }
}

#[test]
fn a_key_is_for_what_its_set_says() {
    let (secret, p256) = (Signer::Secret(vec![1; 48]), Signer::p256());
    let rsa = Signer::rsa();
    for (name, signer, changes, known) in [
        ("ES256", &p256, json!({}), true),
        ("ES256", &p256, json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]}), true),
        ("ES256", &p256, json!({"use": "enc"}), false),
        ("ES256", &p256, json!({"key_ops": ["encrypt"]}), false),
        ("ES256", &p256, json!({"alg": "ES384"}), false),
        ("ES256", &p256, json!({"alg": "RSA-OAEP"}), false),
        ("ES256", &p256, json!({"crv": "P-384"}), false),
        ("ES256", &p256, json!({"x": encode(&[0; 31])}), false),
        ("ES256", &p256, json!({"x": encode(&[0; 32])}), false),
        ("RS256", &rsa, json!({"alg": "PS256"}), false),
        ("RS256", &rsa, json!({"alg": "RS256"}), true),
        ("RS256", &rsa, json!({"n": encode(&[255; 128])}), false),
        ("RS256", &rsa, json!({"e": encode(&[1])}), false),
        ("RS256", &rsa, json!({"n": encode(&[[0; 1].as_slice(), &[255; 255]].concat())}), false),
        ("HS256", &secret, json!({}), true),
        ("HS256", &secret, json!({"alg": "HS384"}), false),
        ("HS384", &secret, json!({}), true),
        ("HS512", &secret, json!({}), false),
    ] {
        let mut jwk = signer.jwk("k");
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        // Another key, so that a set always has one.
        let keys = [jwk, Signer::ed25519().jwk("other")];
        let (verifier, _file) = verifier(&keys, &[Hs256, Hs384, Hs512, Rs256, Ps256, Es256, Es384]);
        let token = signer.sign(&json!({"alg": name, "kid": "k"}), &claims());
        let check = verifier.check(&bearer(&token), at(NOW));
        assert_eq!(word(&check) == "known", known, "{name} {changes} {}", word(&check));
    }
}

#[test]
fn a_set_without_a_key_is_an_error_that_tells_why() {
    let pem = Signer::Secret(b"-----BEGIN PUBLIC KEY-----\nMIIB".to_vec());
    for (set, says) in [
        (json!({"keys": []}).to_string(), "empty"),
        (
            json!({"keys": [{"kty": "oct", "k": encode(&[1; 31])}]}).to_string(),
            "key 1: a secret has 32 bytes",
        ),
        (json!({"keys": [{"kty": "new"}, {}]}).to_string(), "key 2: its type"),
        (json!({"keys": [pem.jwk("k")]}).to_string(), "PEM"),
        (json!({"keys": [{"kty": "oct", "k": ["hush"], "kid": 7}]}).to_string(), "no JWK"),
        (json!({"keys": "hush"}).to_string(), "is no JWKS"),
        ("{\n\"keys\": hush".to_owned(), "is no JSON"),
    ] {
        let mistake = keys::KeySet::parse(set.as_bytes()).err().unwrap();
        assert!(mistake.what.contains(says) && !mistake.what.contains("hush"), "{set}: {}", mistake.what);
    }
    assert_eq!(keys::KeySet::parse(b"{\n1").err().unwrap().line, Some(2));
}

#[test]
fn keys_are_chosen_by_name_and_without_one_by_type() {
    let (first, second) = (Signer::p256(), Signer::p256());
    let mut nameless = Signer::p256().jwk("");
    nameless.as_object_mut().unwrap().remove("kid");
    let (named, _file) = verifier(&[first.jwk("1"), second.jwk("2")], &[Es256]);
    let (mixed, _file) = verifier(&[first.jwk("1"), nameless], &[Es256]);
    for (verifier, signer, id, told) in [
        (&named, &second, json!("2"), "known"),
        (&named, &second, json!("1"), "the token's signature is not right"),
        (&named, &second, Value::Null, "known"),
        (&named, &second, json!("3"), "later"),
        (&mixed, &second, Value::Null, "the token's signature is not right"),
        (&mixed, &second, json!("3"), "later"),
    ] {
        let mut header = json!({"alg": "ES256"});
        if id != Value::Null {
            header["kid"] = id.clone();
        }
        let token = signer.sign(&header, &claims());
        assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), told, "{id}");
    }
}

#[test]
fn a_token_that_was_verified_still_expires_and_goes_with_its_key() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let (verifier, file) = verifier(&[old.jwk("old")], &[Es256]);
    let token = old.sign(&json!({"alg": "ES256", "kid": "old"}), &claims());
    for (seconds, told) in [
        (NOW, "known"),
        (NOW + 1, "known"),
        (NOW + 69, "known"),
        (NOW + 70, "the token has expired"),
        (NOW + 1, "known"),
    ] {
        assert_eq!(word(&verifier.check(&bearer(&token), at(seconds))), told, "{seconds}");
    }
    assert_eq!(verifier.refresh(), Ok(false));
    std::fs::write(file.path(), json!({"keys": [new.jwk("new"), old.jwk("older")]}).to_string()).unwrap();
    assert_eq!(verifier.refresh(), Ok(true));
    assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), "later");
    std::fs::write(file.path(), "{\"keys\": [").unwrap();
    let error = verifier.refresh().unwrap_err();
    assert_eq!((error.line, error.path.as_path()), (Some(1), file.path()));
    assert_eq!(verifier.refresh(), Ok(false), "a bad file is complained of once");
    let token = new.sign(&json!({"alg": "ES256", "kid": "new"}), &claims());
    assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), "known", "the keys before stay");
}

#[test]
fn another_header_holds_the_token_alone() {
    let key = Signer::Secret(vec![1; 32]);
    let (mut verifier, _file) = verifier(&[key.jwk("k")], &[Hs256]);
    let name = HeaderName::from_static("x-token");
    verifier.config.header = name.clone();
    let token = key.sign(&json!({"alg": "HS256"}), &claims());
    let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::try_from(&token).unwrap())]);
    assert_eq!(word(&verifier.check(&headers, at(NOW))), "known");
    assert_eq!(word(&verifier.check(&bearer(&token), at(NOW))), "absent");
    let mut twice = headers.clone();
    twice.append(name, HeaderValue::try_from(&token).unwrap());
    assert!(matches!(verifier.check(&twice, at(NOW)), Check::Refused(_)));
}

/// What a verification costs, printed: `cargo test --release -- --nocapture what_a_token_costs`.
#[test]
fn what_a_token_costs() {
    for (name, algorithm, signer) in [
        ("HS256", Hs256, Signer::Secret(vec![1; 32])),
        ("RS256", Rs256, Signer::rsa()),
        ("ES256", Es256, Signer::p256()),
        ("EdDSA", EdDsa, Signer::ed25519()),
    ] {
        let (verifier, _file) = verifier(&[signer.jwk("k")], &[algorithm]);
        // As long as tokens are: about 800 bytes.
        let claims = with(&json!({"groups": vec!["a-group-of-some-name"; 20]}));
        let header = json!({"alg": name, "kid": "k", "typ": "JWT"});
        let token = signer.sign(&header, &claims);
        let headers = bearer(&token);
        let time = |runs: u32, run: &dyn Fn() -> Check| {
            let begin = tokio::time::Instant::now();
            for _ in 0..runs {
                assert!(matches!(run(), Check::Known(_)));
            }
            begin.elapsed() / runs
        };
        let keys = verifier.keys.number();
        let cold = time(200, &|| verifier.verify(token.as_bytes(), super::millis(at(NOW)), keys));
        let warm = time(20_000, &|| verifier.check(&headers, at(NOW)));
        println!("{name}, {} bytes: first {cold:?}, again {warm:?}", token.len());
        assert!(warm < Duration::from_micros(100), "{warm:?}");
    }
}
