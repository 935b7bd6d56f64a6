//! One key of a JWKS (RFC 7517), for ring.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use ring::hmac;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, UnparsedPublicKey};

use super::token;
use crate::config::gateway::JwtAlgorithm::{self, *};

pub(super) struct Key {
    pub(super) id: Option<Box<str>>,
    /// The one algorithm it is for, where it says so.
    only: Option<JwtAlgorithm>,
    material: Material,
}

/// A key of one type: it fits the algorithms of that type alone.
enum Material {
    Rsa(PublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    /// For SHA-256, SHA-384 and SHA-512, as far as it is long enough.
    Secret(Box<[Option<hmac::Key>; 3]>),
}

impl Key {
    /// A key for signatures, or why it is none that can be used.
    pub(super) fn new(jwk: &Jwk) -> Result<Self, &'static str> {
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return Err("its `use` is not sig");
        }
        let operations = jwk.common.key_operations.as_ref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return Err("its `key_ops` are without verify");
        }
        let material = material(jwk)?;
        let only = match jwk.common.key_algorithm {
            None => None,
            Some(algorithm) => {
                let known = Algorithm::try_from(algorithm).ok().and_then(token::algorithm);
                Some(known.ok_or("its `alg` is none of those that are supported")?)
            }
        };
        let key = Self { id: jwk.common.key_id.as_deref().map(Into::into), only, material };
        match only {
            Some(only) if !key.fits(only) => Err("its `alg` does not fit its type or length"),
            _ => Ok(key),
        }
    }

    /// Whether it may verify signatures of an algorithm.
    pub(super) fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm)
            && match &self.material {
                Material::Rsa(_) => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
                Material::P256(_) => algorithm == Es256,
                Material::P384(_) => algorithm == Es384,
                Material::Ed25519(_) => algorithm == EdDsa,
                Material::Secret(keys) => secret(keys, algorithm).is_some(),
            }
    }

    pub(super) fn verify(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa(key) => {
                rsa(algorithm).is_some_and(|parameters| key.verify(parameters, message, signature).is_ok())
            }
            Material::P256(key) => verify(&signature::ECDSA_P256_SHA256_FIXED, key, message, signature),
            Material::P384(key) => verify(&signature::ECDSA_P384_SHA384_FIXED, key, message, signature),
            Material::Ed25519(key) => verify(&signature::ED25519, key, message, signature),
            Material::Secret(keys) => {
                secret(keys, algorithm).is_some_and(|key| hmac::verify(key, message, signature).is_ok())
            }
        }
    }
}

fn verify(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

fn rsa(algorithm: JwtAlgorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn secret(keys: &[Option<hmac::Key>; 3], algorithm: JwtAlgorithm) -> Option<&hmac::Key> {
    let [sha256, sha384, sha512] = keys;
    match algorithm {
        Hs256 => sha256.as_ref(),
        Hs384 => sha384.as_ref(),
        Hs512 => sha512.as_ref(),
        _ => None,
    }
}

fn material(jwk: &Jwk) -> Result<Material, &'static str> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => {
            let (n, e) = (number(&key.n)?, number(&key.e)?);
            let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
            if !(2048..=8192).contains(&bits) {
                return Err("an RSA key has 2048 to 8192 bits");
            }
            Ok(Material::Rsa(PublicKeyComponents { n, e }))
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Ok(Material::P256(point(&key.x, &key.y, 32)?)),
            EllipticCurve::P384 => Ok(Material::P384(point(&key.x, &key.y, 48)?)),
            _ => Err("its curve is not P-256 or P-384"),
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            let x = decode(&key.x)?;
            if key.curve != EllipticCurve::Ed25519 || x.len() != 32 {
                return Err("its curve is not Ed25519, or its point not of 32 bytes");
            }
            Ok(Material::Ed25519(x))
        }
        AlgorithmParameters::OctetKey(key) => {
            let secret = decode(&key.value)?;
            // Somebody's way to try the confusion of a public key with a secret.
            if secret.starts_with(b"-----BEGIN") {
                return Err("its secret is a PEM file");
            }
            // RFC 7518, section 3.2: as long as the hash at least.
            let long =
                |least: usize, algorithm| (secret.len() >= least).then(|| hmac::Key::new(algorithm, &secret));
            let keys =
                [long(32, hmac::HMAC_SHA256), long(48, hmac::HMAC_SHA384), long(64, hmac::HMAC_SHA512)];
            if keys.iter().all(Option::is_none) {
                return Err("a secret has 32 bytes at least");
            }
            Ok(Material::Secret(Box::new(keys)))
        }
        _ => Err("its type is not RSA, EC, OKP or oct"),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of it is not in Base64url")
}

/// A number, without the zeros that some put before it.
fn number(text: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = decode(text)?;
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    Ok(bytes.get(zeros..).unwrap_or_default().to_vec())
}

/// A point, uncompressed (SEC 1, section 2.3.3).
fn point(x: &str, y: &str, length: usize) -> Result<Vec<u8>, &'static str> {
    let (x, y) = (decode(x)?, decode(y)?);
    if x.len() != length || y.len() != length {
        return Err("a coordinate is not as long as its curve's are");
    }
    Ok([&[4], &x[..], &y[..]].concat())
}
