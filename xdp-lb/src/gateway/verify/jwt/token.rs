//! A token's parts (RFC 7515, compact form), before anything of it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, decode_header};
use serde_json::Value;

use crate::config::gateway::JwtAlgorithm;

pub(super) struct Token<'a> {
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: Option<String>,
    /// What is signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    /// An object.
    pub(super) claims: Value,
}

pub(super) fn parse(token: &[u8]) -> Result<Token<'_>, &'static str> {
    let no_token = "the token is not of three parts in Base64url";
    let mut dots = memchr::memchr_iter(b'.', token);
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
        return Err(no_token);
    };
    let (message, signature) =
        (token.get(..second).unwrap_or_default(), token.get(second + 1..).unwrap_or_default());
    let claims = message.get(first + 1..).unwrap_or_default();
    let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token);
    let (claims, signature) = (decode(claims)?, decode(signature)?);

    // Fails on algorithms that it does not know, `none` among them, and on parameters that are there twice.
    let header = decode_header(token).map_err(|_| "the token's header is wrong, or its algorithm unknown")?;
    if header.crit.is_some() || header.extras.inner().contains_key("b64") {
        return Err("the token demands an extension that is not understood");
    }
    if header.enc.is_some() || header.zip.is_some() {
        return Err("the token is encrypted or compressed");
    }
    // Tokens for other uses, as a log-out or a proof of possession, are no access tokens (RFC 8725, section 3.11).
    let access = |kind: &String| {
        let kind = kind.to_ascii_lowercase();
        matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
    };
    if !header.typ.as_ref().is_none_or(access) {
        return Err("the token is of a type for another use");
    }
    let algorithm = algorithm(header.alg).ok_or("the token's algorithm is unknown")?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|_| "the token's claims are no JSON")?;
    if !claims.is_object() {
        return Err("the token's claims are no object");
    }
    Ok(Token { algorithm, key: header.kid, message, signature, claims })
}

pub(super) fn algorithm(algorithm: Algorithm) -> Option<JwtAlgorithm> {
    Some(match algorithm {
        Algorithm::HS256 => JwtAlgorithm::Hs256,
        Algorithm::HS384 => JwtAlgorithm::Hs384,
        Algorithm::HS512 => JwtAlgorithm::Hs512,
        Algorithm::RS256 => JwtAlgorithm::Rs256,
        Algorithm::RS384 => JwtAlgorithm::Rs384,
        Algorithm::RS512 => JwtAlgorithm::Rs512,
        Algorithm::PS256 => JwtAlgorithm::Ps256,
        Algorithm::PS384 => JwtAlgorithm::Ps384,
        Algorithm::PS512 => JwtAlgorithm::Ps512,
        Algorithm::ES256 => JwtAlgorithm::Es256,
        Algorithm::ES384 => JwtAlgorithm::Es384,
        Algorithm::EdDSA => JwtAlgorithm::EdDsa,
        _ => return None,
    })
}
