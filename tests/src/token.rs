//! Signed tokens, as an identity provider issues them.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A key of its own, ES256.
pub struct Signer {
    key: EcdsaKeyPair,
    name: String,
    random: SystemRandom,
}

impl Signer {
    /// With the key's name `kid`.
    pub fn new(kid: &str) -> Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
        let pkcs8 = made.ok().context("making a key")?;
        let key =
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).ok().context("reading a key")?;
        Ok(Self { key, name: kid.to_owned(), random })
    }

    /// Its public key, as RFC 7517 has it.
    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.name, "x": x, "y": y})
    }

    /// The set that holds it alone.
    pub fn jwks(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.name});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok().context("signing")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

/// The time in seconds since 1970, plus so many.
pub fn seconds_from_now(seconds: i64) -> i64 {
    let now = crate::clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX).saturating_add(seconds)
}
