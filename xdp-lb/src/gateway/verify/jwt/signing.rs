//! Signs tokens, for tests.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use ring::{hmac, signature};
use serde_json::{Value, json};

/// A key that signs.
pub(in crate::gateway::verify) enum Signer {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// An RSA key of 2048 bits that is for nothing else (PKCS #8); ring makes none.
const RSA: &str = "\
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDFrVxuZvv8xfgWcvsg70BQZA3av3BGDOXUGRYeMW/ziRKbiqee\
    03usneyyfrerEtH/2so0KShhOH04N/AzC4IjJ+SNwstBVRswW7/HI+lPfU5m4m4LUYyxoqqdRIKC/MCsnwwg4Dl0lUqybbVNofVU\
    4iwX07mV8g4kw/oRhQfUg2AYQonAJbErJAveeiA3KmPhG0/g+WTyg/IuATHWiwYfkrm5aYX9TQgbgqaQFilAJWbmyca/9MtYTOPj\
    sCR3KHwTSCyFOq0jkKH+uBTn98izBNWuIeI9zXM0v/+L+M/ylnsbh9wQtknEcZKMK4oUUth3etngrQI+HUPXf/jPrblnAgMBAAEC\
    ggEARfFXnZahvWf8plDLq3UL8AXe4xHOc3K31SqFKWy7nFNZOqC+O1O/1C1SpTtx2D2CAUHUPs17RJ78q2obeqwtQSwp0cDlMvoe\
    cydbfWYm9KG1HnEql6Wknuub66ZkeV1d/RYPcAh2O9phAi4QMuZFzGF0UX/wD+6D851F+3Hy+c1c6pjxb/xgtCGnnYyZNgGg1fgW\
    rjnaBDKMEPvbGJWbw21V0syW6jDHpQvPuDK5dXVIUpBHdiYzYMgBepW6bWWN5TnK8VzUy9NaT9mHiIwKnz/z9Dil0pycA4hOf44j\
    FQA35O4K5/A3HrH96m5T3RHgvYobhMLsLDKuSOzQszgxcQKBgQDoPQmifyc8trIWgtnXKsQBCKl3ltvDvkkURhJl+bphEXcC08tj\
    pJTph63uYQchBovV3/7Rq6V6DCxovj/IcW855SncES1dcg12brtWButc3xXmRG9EkOW658vCJQv5xYKlZWb8d3gvmqF+G0tLdhDI\
    LOzfmJ49vwuRhd2WrZzytwKBgQDZ5xHX9XSCMakW2Gn0cU0n8j2Km+IADwvzGjQ/cMUucmv2C0PRx4Zsxn/RvFZv09NL/tIiDpE4\
    ZDTQUvLmuhsO6bwfgB2awgKMMs5ph0J+N5tTzu1uSJX5Iv5AtFue/cjWBkHRh0Sox0kWav0tVKyRdD+o2iqnvGc5KOPnchb+0QKB\
    gHFthmwoYHil3rth85XE3HCI04SGWRX0tWrCgq/t1dsdFZx650bmlpis3QWlvD6kHN48BhBQHoVKttH9wddbl/CV/ejvNtICJ5Ml\
    qDfvLztv9hk+aX36q0mrdvh+8advkUzJBxDeJQRTKPcXy6Gyq6WpU5QtzXPpAHR2BnFWoGZnAoGBANKLbrZYuUbDbTphyZ8jiwW6\
    DrTLgkfEQiuXejyCXkRO0vpeUB12yPB5rC+f53UOG/AmPCwkHzV5vX49Z+6AjHyQY/Gb/P73zzZgMQnOY/VJDZChNNGG2UJtCXbD\
    znOFjHUgfqBSL4lVZc1/ezo9wrCYvpoMk4KXjLWySOPtXULBAoGAJPW/AkdfYsHsrqFCI/MV3Aj2bY7Ckge0kw9rvBA5nDlxEr4M\
    OUD4Wv7gbz8xodZfbZExyKbGb2Fe1T1ou7lMk1FBjW/nJIhJChwVFsxypZAh1zxS+U96y1oCfvLtc8bbRm3vBsOFKk/WGDL6B4Cv\
    ChZkbaPfGOdAf8xeWiaaMFg=\
";

impl Signer {
    pub(in crate::gateway::verify) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(&STANDARD.decode(RSA.trim()).unwrap()).unwrap()))
    }

    pub(in crate::gateway::verify) fn p256() -> Self {
        Self::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING))
    }

    pub(super) fn p384() -> Self {
        Self::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING))
    }

    pub(super) fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub(in crate::gateway::verify) fn jwk(&self, id: &str) -> Value {
        let mut key = match self {
            Self::Secret(secret) => json!({"kty": "oct", "k": encode(secret)}),
            Self::Rsa(key) => {
                let key = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": encode(&key.n), "e": encode(&key.e)})
            }
            Self::P256(key) => point("P-256", key.public_key().as_ref()),
            Self::P384(key) => point("P-384", key.public_key().as_ref()),
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())})
            }
        };
        key["kid"] = id.into();
        key
    }

    /// A token with this header, whose `alg` is what is signed by as far as the key can.
    pub(in crate::gateway::verify) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        format!("{message}.{}", encode(&self.signature(algorithm, message.as_bytes())))
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}
