//! Which content coding a client takes: RFC 9110, section 12.5.3.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::token;
use crate::config::gateway::Encoding;

/// Weights are kept in thousandths.
const FULL: u16 = 1000;

/// The coding that the client likes best of those offered, of equals the first offered; `None` for no coding.
///
/// A client that says nothing gets none, though it might take one: some that say nothing know nothing of it. One that
/// refuses identity, and all that is offered, gets identity too: an answer it may not read is better than none.
pub fn choose(asked: &HeaderMap, offered: &[Encoding]) -> Option<Encoding> {
    let mut any = None;
    let mut identity = None;
    let mut weights = [None; 3];
    for line in asked.get_all(ACCEPT_ENCODING) {
        for (coding, weight) in line.to_str().unwrap_or_default().split(',').filter_map(element) {
            match coding {
                "*" => any = Some(weight),
                _ if coding.eq_ignore_ascii_case("identity") => identity = Some(weight),
                _ => {
                    let plain = coding
                        .get(..2)
                        .filter(|x| x.eq_ignore_ascii_case("x-"))
                        .map_or(coding, |_| &coding[2..]);
                    let known = |encoding: &Encoding| plain.eq_ignore_ascii_case(token(*encoding));
                    if let Some(encoding) = ALL.iter().find(|encoding| known(encoding)) {
                        weights[*encoding as usize] = Some(weight);
                    }
                }
            }
        }
    }
    let mut best = None;
    let mut best_weight = 0;
    for &encoding in offered {
        let weight = weights[encoding as usize].or(any).unwrap_or(0);
        if weight > best_weight {
            (best, best_weight) = (Some(encoding), weight);
        }
    }
    // Identity is taken unless it is refused, but is only preferred if that is said.
    best.filter(|_| identity.is_none_or(|identity| identity <= best_weight))
}

const ALL: [Encoding; 3] = [Encoding::Brotli, Encoding::Gzip, Encoding::Zstd];

/// `gzip;q=0.5`: one that is not of this form is passed over.
fn element(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';');
    let coding = parts.next()?.trim_ascii();
    if coding.is_empty() {
        return None;
    }
    let weight = match parts.next() {
        None => FULL,
        Some(parameter) => {
            let (name, value) = parameter.trim_ascii().split_once('=')?;
            name.trim_ascii().eq_ignore_ascii_case("q").then(|| thousandths(value.trim_ascii()))??
        }
    };
    Some((coding, weight))
}

/// `0`, `0.5`, `1.000`: up to three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = rest.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + u16::from(b - b'0'));
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_and_then_the_order_offered() {
        use Encoding::{Brotli, Gzip, Zstd};
        for (asked, offered, want) in [
            (vec![], vec![Gzip], None),
            (vec![""], vec![Gzip], None),
            (vec!["gzip"], vec![Brotli, Gzip], Some(Gzip)),
            (vec!["gzip, deflate, br"], vec![Brotli, Gzip], Some(Brotli)),
            (vec!["gzip, br"], vec![Gzip, Brotli], Some(Gzip)),
            (vec!["gzip", "br"], vec![Brotli, Gzip], Some(Brotli)),
            (vec!["br;q=0.5, gzip;q=0.8"], vec![Brotli, Gzip], Some(Gzip)),
            (vec!["GZIP ; Q=0.8"], vec![Gzip], Some(Gzip)),
            (vec!["x-gzip"], vec![Gzip], Some(Gzip)),
            (vec!["*"], vec![Zstd, Gzip], Some(Zstd)),
            (vec!["*;q=0.1, gzip"], vec![Zstd, Gzip], Some(Gzip)),
            (vec!["*, zstd;q=0"], vec![Zstd, Gzip], Some(Gzip)),
            (vec!["gzip;q=0"], vec![Gzip], None),
            (vec!["*;q=0"], vec![Gzip], None),
            (vec!["identity;q=0"], vec![Gzip], None),
            (vec!["identity;q=0, gzip;q=0.001"], vec![Gzip], Some(Gzip)),
            (vec!["identity, gzip;q=0.5"], vec![Gzip], None),
            (vec!["identity;q=0.5, gzip;q=0.5"], vec![Gzip], Some(Gzip)),
            (vec!["gzip;q=2"], vec![Gzip], None),
            (vec!["gzip;q=0.5000"], vec![Gzip], None),
            (vec!["gzip;q="], vec![Gzip], None),
            (vec!["gzip;level=1"], vec![Gzip], None),
            (vec!["deflate, compress"], vec![Gzip], None),
            (vec!["gzip"], vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in &asked {
                headers.append(ACCEPT_ENCODING, line.parse().unwrap());
            }
            assert_eq!(choose(&headers, &offered), want, "{asked:?}");
        }
    }
}
