use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, Response, StatusCode};

use super::BuildError;
use super::escape::{encode_segments, encode_value, keep_encoded};
use super::template::{Compiled, Context, is_encoded, is_parameter, value};
use crate::config::gateway::{Template, TemplatePart};
use crate::gateway::{Body, Reason, Refusal};

/// A redirect, compiled. Where it leads to is for the template's author to say, not for the client.
#[derive(Clone, Debug)]
pub struct Redirect {
    status: StatusCode,
    constant: Option<HeaderValue>,
    to: Template,
}

/// The part of a reference (RFC 3986, 4.1) that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Authority,
    Path,
    Query,
    Fragment,
}

impl Redirect {
    /// To there, with this status; `route` is the route's name, for errors.
    pub fn build(route: &str, to: &Template, status: StatusCode) -> Result<Self, BuildError> {
        let error = |mend| {
            let thing = "the target of a redirect".to_owned();
            BuildError { route: route.to_owned(), thing, value: written(to), mend }
        };
        let start = match to.parts.first() {
            None => return Err(error("is empty; write a path or an address with `http://` or `https://`")),
            Some(TemplatePart::Text(text)) => text.as_str(),
            Some(_) => "",
        };
        if start.starts_with("//") || (has_scheme(start) && scheme_end(start).is_none()) {
            return Err(error(
                "begins with neither a path nor `http://` or `https://`; begin with one of these",
            ));
        }
        let mut place = if scheme_end(start).is_some() { Place::Authority } else { Place::Path };
        for (index, part) in to.parts.iter().enumerate() {
            if let TemplatePart::Text(text) = part {
                let skipped = if index == 0 { scheme_end(text).unwrap_or(0) } else { 0 };
                place = place.after(&text[skipped..]);
            } else if place == Place::Authority && !begins_anew(part) && *part != TemplatePart::Host {
                let bound = matches!(to.parts.get(index + 1), Some(TemplatePart::Text(text)) if text.starts_with('.'));
                if !bound {
                    return Err(error(
                        "lets the client choose the host; follow the place by a domain, as in `{..}.example.com`",
                    ));
                }
            } else if place == Place::Authority && begins_anew(part) {
                place = Place::Path;
            }
        }
        let constant = match Compiled::new(to).constant() {
            None => None,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                HeaderValue::from_str(text).ok()
            }
            Some(_) => return Err(error("holds a blank or a character beyond ASCII; percent-encode it")),
        };
        Ok(Self { status, constant, to: to.clone() })
    }

    /// The answer. Refused is a request that would lead to no address, or to another host than the template says.
    pub fn answer(&self, context: &Context<'_>) -> Result<Response<Body>, Refusal> {
        let location = match &self.constant {
            Some(constant) => constant.clone(),
            None => self.location(context)?,
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(response)
    }

    fn location(&self, context: &Context<'_>) -> Result<HeaderValue, Refusal> {
        let mut out = String::new();
        let mut place = Place::Path;
        for (index, part) in self.to.parts.iter().enumerate() {
            if let TemplatePart::Text(text) = part {
                let scheme = scheme_end(text).filter(|_| index == 0);
                if scheme.is_some() {
                    place = Place::Authority;
                }
                place = place.after(&text[scheme.unwrap_or(0)..]);
                out.push_str(text);
                continue;
            }
            let value = value(part, context);
            if place == Place::Authority && begins_anew(part) {
                // A host ends here, whatever the value begins with.
                if !value.is_empty() && !value.starts_with(['/', '?']) {
                    out.push('/');
                }
                place = Place::Path;
            }
            match place {
                Place::Authority => push_host(&mut out, part, &value)?,
                Place::Path if *part == TemplatePart::Query => {
                    out.extend(keep_encoded(&value, true));
                    place = place.after(&value);
                }
                Place::Query if *part == TemplatePart::Query => {
                    // There is a `?` already.
                    let value = value.strip_prefix('?').unwrap_or(&value);
                    if !value.is_empty() && !out.ends_with(['?', '&']) {
                        out.push('&');
                    }
                    out.extend(keep_encoded(value, true));
                }
                Place::Path if is_encoded(part) => out.extend(keep_encoded(&value, false)),
                Place::Path if is_parameter(part) => out.extend(encode_segments(&value)),
                Place::Path | Place::Query | Place::Fragment => out.extend(encode_value(&value)),
            }
        }
        // What begins with two slashes would name a host.
        let slashes = out.len() - out.trim_start_matches('/').len();
        if slashes > 1 {
            out.drain(1..slashes);
        }
        if out.is_empty() {
            out.push('/');
        }
        HeaderValue::try_from(out).map_err(|_| refused())
    }
}

impl Place {
    /// Where one is after this text.
    fn after(self, text: &str) -> Self {
        text.bytes().fold(self, |place, byte| match (place, byte) {
            (Self::Authority, b'/') => Self::Path,
            (Self::Authority | Self::Path, b'?') => Self::Query,
            (_, b'#') => Self::Fragment,
            (place, _) => place,
        })
    }
}

/// Whether the place's value begins with `/` or `?` by its nature, and so ends a host.
fn begins_anew(part: &TemplatePart) -> bool {
    matches!(part, TemplatePart::Path | TemplatePart::Rest | TemplatePart::Query)
}

fn push_host(out: &mut String, part: &TemplatePart, value: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| match byte {
        b'-' | b'.' | b'_' => true,
        b':' | b'[' | b']' => *part == TemplatePart::Host,
        other => other.is_ascii_alphanumeric(),
    };
    if value.is_empty() || !value.bytes().all(allowed) {
        return Err(refused());
    }
    out.push_str(value);
    Ok(())
}

fn refused() -> Refusal {
    Refusal::new(Reason::BadTarget, "a value of the request may not be part of an address")
}

fn has_scheme(text: &str) -> bool {
    text.find([':', '/', '?', '#']).is_some_and(|place| text[place..].starts_with(':'))
}

/// Where the host begins.
fn scheme_end(text: &str) -> Option<usize> {
    ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme)).map(str::len)
}

/// The template, for errors: its text, and `{..}` for each place.
fn written(template: &Template) -> String {
    let word = |part: &TemplatePart| {
        if let TemplatePart::Text(text) = part { text.clone() } else { "{..}".to_owned() }
    };
    template.parts.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, template};
    use super::*;

    fn location(to: &str, uri: &str, rest: &str) -> Result<String, Reason> {
        let head = testing::head("GET", uri, &[("x-evil", "//evil.test"), ("x-dots", ".evil.test")]);
        let mut exchange = testing::exchange("GET", "shop.test", head.uri.path());
        for (name, value) in [
            ("js", "javascript:alert(1)"),
            ("crlf", "a\r\nset-cookie: b"),
            ("t", "acme"),
            ("bad", "evil.test/"),
            ("all", "a/b c"),
            ("slash", "/evil.test"),
        ] {
            exchange.parameters.push((name.into(), value.into()));
        }
        let context = Context { exchange: &exchange, head: &head, rest, status: None };
        let redirect = Redirect::build("r", &template(to), StatusCode::FOUND).unwrap();
        let response = redirect.answer(&context).map_err(|refusal| refusal.reason)?;
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_LENGTH]),
            (StatusCode::FOUND, &"0".parse().unwrap())
        );
        Ok(response.headers()[LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_location_leads_where_the_template_says() {
        for (to, uri, rest, expected) in [
            ("/new", "/old?a=b", "", "/new"),
            ("https://{host}{path}{query}", "/a%20b?c=d%26", "", "https://shop.test/a%20b?c=d%26"),
            (
                "https://new.test{rest}{query}",
                "/old//evil.test",
                "//evil.test",
                "https://new.test//evil.test",
            ),
            ("https://new.test{rest}", "/old", "", "https://new.test"),
            ("https://new.test{query}", "/old?x", "", "https://new.test?x"),
            ("{path}", "//evil.test/x", "", "/evil.test/x"),
            ("{rest}", "/old", "", "/"),
            ("{rest}", "/old//evil.test", "//evil.test", "/evil.test"),
            ("/{header:x-evil}", "/", "", "/%2F%2Fevil.test"),
            ("{header:x-evil}", "/", "", "%2F%2Fevil.test"),
            ("{param:js}", "/", "", "javascript%3Aalert%281%29"),
            ("https://new.test/{param:all}", "/", "", "https://new.test/a/b%20c"),
            ("/{param:slash}", "/", "", "/evil.test"),
            ("/x?a={param:all}", "/", "", "/x?a=a%2Fb%20c"),
            ("/x?to={param:crlf}", "/", "", "/x?to=a%0D%0Aset-cookie%3A%20b"),
            ("/x?a=1{query}", "/?b=2", "", "/x?a=1&b=2"),
            ("/x?{query}", "/?b=2", "", "/x?b=2"),
            ("/x?a={path}", "/y&b=c", "", "/x?a=%2Fy%26b%3Dc"),
            ("/x#{param:t}", "/", "", "/x#acme"),
            ("https://{param:t}.new.test/", "/", "", "https://acme.new.test/"),
            ("https://new.test{path}", "*", "", "https://new.test/*"),
        ] {
            assert_eq!(location(to, uri, rest).as_deref(), Ok(expected), "{to} {uri}");
        }
        assert_eq!(location("https://{param:bad}.new.test/", "/", ""), Err(Reason::BadTarget));
        assert_eq!(location("https://{param:none}.new.test/", "/", ""), Err(Reason::BadTarget));
    }

    #[test]
    fn what_leads_elsewhere_is_not_built() {
        for to in [
            "",
            "//evil.test/",
            "javascript:alert(1)",
            "ftp://a/",
            "https:/a",
            "https://{param:t}",
            "https://{param:t}/x",
            "https://new.test{header:x-dots}/",
            "https://new.test:{param:t}/",
            "/a b",
            "/a\r\nb",
        ] {
            let error = Redirect::build("r", &template(to), StatusCode::FOUND).unwrap_err().to_string();
            assert!(error.contains("route `r`"), "{error}");
        }
    }
}
