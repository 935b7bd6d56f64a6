//! W3C Trace Context, level 1: which trace a request belongs to. `tracestate` is passed on untouched by not touching it.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::gateway::TraceContext;

/// `traceparent`.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace that the request's sender names; this request's span in it is `span`. `None`: none, or not as the standard
/// has it (section 3.2.2), which is as good as none.
pub fn parse(headers: &HeaderMap, span: u64) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?.as_bytes();
    // 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    let (known, more) = value.split_at_checked(55)?;
    let [version, trace, parent, flags] = [&known[..2], &known[3..35], &known[36..52], &known[53..]];
    let version = hex(version)?;
    let dashes = [known[2], known[35], known[52]] == [b'-'; 3];
    // A later version may have more to say, after a dash.
    let length = more.is_empty() || (version > 0 && more.starts_with(b"-"));
    let (trace, parent, flags) = (hex(trace)?, u64::try_from(hex(parent)?).ok()?, hex(flags)?);
    let valid = version != 0xff && dashes && length && trace != 0 && parent != 0;
    valid.then_some(TraceContext { trace, parent: Some(parent), span, sampled: flags & 1 == 1 })
}

/// What the server is told: this request's span as its parent.
pub fn format(context: &TraceContext) -> HeaderValue {
    let flags = u8::from(context.sampled);
    let text = format!("00-{:032x}-{:016x}-{flags:02x}", context.trace, context.span);
    // Digits and dashes are a header's value.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A number of lower-case digits only.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn what_is_as_the_standard_has_it_is_read() {
        let zeros = "0".repeat(32);
        for (value, sampled) in [
            (format!("00-{TRACE}-{PARENT}-01"), Some(true)),
            (format!("00-{TRACE}-{PARENT}-00"), Some(false)),
            (format!("00-{TRACE}-{PARENT}-ff"), Some(true)),
            (format!("00-{TRACE}-{PARENT}-02"), Some(false)),
            (format!("01-{TRACE}-{PARENT}-01"), Some(true)),
            (format!("cc-{TRACE}-{PARENT}-01-what-the-future"), Some(true)),
            (format!("cc-{TRACE}-{PARENT}-01."), None),
            (format!("00-{TRACE}-{PARENT}-01-more"), None),
            (format!("ff-{TRACE}-{PARENT}-01"), None),
            (format!("00-{zeros}-{PARENT}-01"), None),
            (format!("00-{TRACE}-{}-01", &zeros[..16]), None),
            (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-{PARENT}-0x"), None),
            (format!("00_{TRACE}-{PARENT}-01"), None),
            (format!("00-{TRACE}-{PARENT}-1"), None),
            (String::new(), None),
            ("ü".repeat(40), None),
        ] {
            let head = testing::head("GET", "/", &[("traceparent", &value)]);
            let context = parse(&head.headers, 7);
            assert_eq!(context.map(|context| context.sampled), sampled, "{value}");
            if let Some(context) = context {
                assert_eq!(format!("{:032x}", context.trace), TRACE);
                assert_eq!(context.parent.map(|parent| format!("{parent:016x}")).as_deref(), Some(PARENT));
                let next = format(&context);
                let flags = if context.sampled { "01" } else { "00" };
                assert_eq!(next, format!("00-{TRACE}-0000000000000007-{flags}"));
            }
        }
        let value = format!("00-{TRACE}-{PARENT}-01");
        let twice = testing::head("GET", "/", &[("traceparent", &value), ("traceparent", &value)]);
        assert_eq!(parse(&twice.headers, 7), None);
    }
}
