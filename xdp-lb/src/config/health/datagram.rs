//! What a UDP check sends and looks for.

use super::super::rules::{Refusal, Rule};

/// Text, or bytes in hexadecimal: at most as much as a datagram carries unfragmented over nearly any link.
pub(super) fn payload() -> Rule<'static, Vec<u8>> {
    let expected = format!("text, or bytes as \"hex:00ff\", of at most {MOST} bytes");
    Rule::string(expected, |text| {
        let bytes = match text.strip_prefix("hex:") {
            Some(digits) => bytes(digits)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() <= MOST { Ok(bytes) } else { Err(Refusal::Unexpected) }
    })
}

const MOST: usize = 1200;

fn bytes(digits: &str) -> Result<Vec<u8>, Refusal> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let Some(digits) = digits else {
        return Err(Refusal::Hint("after hex: only hexadecimal digits and spaces".into()));
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
        _ => Err(Refusal::Hint("after hex: two digits for each byte".into())),
    }
}
