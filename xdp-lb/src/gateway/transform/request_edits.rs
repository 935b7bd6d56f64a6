use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::BuildError;
use super::escape::{Escape, keep_encoded};
use super::headers::HeaderEdits;
use super::query_edits::QueryEdits;
use super::template::{Compiled, Context};
use crate::config::gateway::{Route, TemplatePart};
use crate::gateway::{Exchange, Reason, Refusal};

/// Changes of a request's head on its way to the server, compiled.
#[derive(Clone, Debug)]
pub struct RequestEdits {
    path: Option<Compiled>,
    /// Whether the new path is made of the old one's parameters.
    by_parameters: bool,
    host: Option<Compiled>,
    headers: HeaderEdits,
    query: QueryEdits,
}

impl RequestEdits {
    /// Those of a route.
    pub fn build(route: &Route) -> Result<Self, BuildError> {
        let changes = &route.request;
        let error = |thing: &str, value: &str, mend| BuildError {
            route: route.name.clone(),
            thing: thing.to_owned(),
            value: value.to_owned(),
            mend,
        };
        let path = changes.path.as_ref().map(Compiled::new);
        if let Some(path) = path.as_ref().and_then(Compiled::constant)
            && (!path.starts_with('/') || path.contains(['?', '#']) || !path_is_plain(path))
        {
            let mend = "is no path; it begins with `/`, has no `.` or `..` as a segment, and no query";
            return Err(error("the new path", path, mend));
        }
        let host = changes.host.as_ref().map(Compiled::new);
        if let Some(host) = host.as_ref().and_then(Compiled::constant)
            && authority(host).is_none()
        {
            return Err(error(
                "the new host",
                host,
                "is no host; write a name or an address, with a port if need be",
            ));
        }
        let headers = HeaderEdits::build(&route.name, "request", &changes.headers)?;
        let is_parameter = |part: &TemplatePart| matches!(part, TemplatePart::PathParameter(_));
        let by_parameters = changes.path.iter().flat_map(|path| &path.parts).any(is_parameter);
        Ok(Self { path, by_parameters, host, headers, query: QueryEdits::new(&changes.query) })
    }

    /// Changes the head. `rest`: what follows the route's prefix in the path. Values come from the head as it was before.
    ///
    /// Refuses a request whose values would make another path or host of it than the template says.
    pub fn apply(&self, exchange: &Exchange, rest: &str, head: &mut Parts) -> Result<(), Refusal> {
        let context = Context { exchange, head, rest, status: None };
        // `OPTIONS *` has no path that could become another.
        let asterisk = head.uri.path() == "*";
        let path = match &self.path {
            Some(_) if self.by_parameters && holds_slashes(&exchange.path) => return Err(bad_target()),
            Some(path) if !asterisk => Some(new_path(path, &context)?),
            _ => None,
        };
        let query = if self.query.is_empty() || asterisk {
            None
        } else {
            Some(self.query.apply(head.uri.query(), &context))
        };
        let host = self.host.as_ref().map(|host| new_host(host, &context)).transpose()?;
        let headers = self.headers.fill(&context);
        headers.apply(&mut head.headers);
        if path.is_some() || query.is_some() || host.is_some() {
            head.uri = new_uri(&head.uri, path.as_deref(), query.as_ref(), host.as_ref())?;
        }
        if let Some(host) = host {
            let value = HeaderValue::from_str(host.as_str()).map_err(|_| bad_host())?;
            head.headers.insert(HOST, value);
        }
        Ok(())
    }
}

/// Whether there are slashes in a path's segments: in its parameters, which were decoded, they cannot be told from those
/// between segments.
fn holds_slashes(path: &str) -> bool {
    path.contains("%2F") || path.contains("%2f")
}

fn new_path(template: &Compiled, context: &Context<'_>) -> Result<String, Refusal> {
    let mut path = template.render(context, Escape::Path).into_owned();
    let keeps_rest = !template.has(&TemplatePart::Rest) && !template.has(&TemplatePart::Path);
    if keeps_rest && !context.rest.is_empty() {
        let ends = path.ends_with('/');
        path.extend(keep_encoded(
            context.rest.strip_prefix('/').filter(|_| ends).unwrap_or(context.rest),
            false,
        ));
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    if path_is_plain(&path) { Ok(path) } else { Err(bad_target()) }
}

/// Whether no server that decodes first and splits then would climb in it, or end it at a NUL.
fn path_is_plain(path: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    // A segment's parameters, after a `;`, are left out by some servers before they look at dots.
    let name =
        |segment: &[u8]| segment.split(|&byte| byte == b';').next().map(<[u8]>::to_vec).unwrap_or_default();
    !decoded.contains(&0)
        && decoded
            .split(|byte| matches!(byte, b'/' | b'\\'))
            .all(|segment| !matches!(name(segment).as_slice(), b"." | b".."))
}

fn new_host(template: &Compiled, context: &Context<'_>) -> Result<Authority, Refusal> {
    authority(&template.render(context, Escape::None)).ok_or_else(bad_host)
}

/// A host with a port if need be, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    let plain = !text.is_empty() && text.bytes().all(allowed);
    text.parse().ok().filter(|authority: &Authority| plain && !authority.host().is_empty())
}

/// `query`: the new one, which may be none.
fn new_uri(
    uri: &Uri,
    path: Option<&str>,
    query: Option<&Option<String>>,
    host: Option<&Authority>,
) -> Result<Uri, Refusal> {
    let mut parts = uri.clone().into_parts();
    if path.is_some() || query.is_some() {
        let mut text = path.unwrap_or(uri.path()).to_owned();
        let query = match query {
            Some(query) => query.as_deref(),
            None => uri.query(),
        };
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| bad_target())?);
    }
    if let Some(host) = host.filter(|_| parts.authority.is_some()) {
        parts.authority = Some(host.clone());
    }
    Uri::from_parts(parts).map_err(|_| bad_target())
}

fn bad_target() -> Refusal {
    Refusal::new(Reason::BadTarget, "a value of the request may not be part of a path")
}

fn bad_host() -> Refusal {
    Refusal::new(Reason::BadHost, "a value of the request may not be part of a host")
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::super::testing::{self, template};
    use super::*;
    use crate::config::gateway::PathPattern;

    fn prefix() -> Route {
        testing::route("api", PathPattern::Prefix("/api".into()))
    }

    fn apply(route: &Route, rest: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Parts, Reason> {
        let mut head = testing::head("GET", uri, headers);
        let mut exchange = testing::exchange("GET", "shop.test", head.uri.path());
        for (name, value) in [
            ("id", "7"),
            ("all", "a/b c/%"),
            ("up", ".."),
            ("deep", "a/../b"),
            ("semi", "..;x"),
            ("nul", "a\0"),
            ("q", "a?b#c"),
        ] {
            exchange.parameters.push((name.into(), value.into()));
        }
        RequestEdits::build(route)
            .unwrap()
            .apply(&exchange, rest, &mut head)
            .map_err(|refusal| refusal.reason)?;
        Ok(head)
    }

    #[test]
    fn paths_become_others_and_keep_what_follows() {
        let refused = Err(Reason::BadTarget);
        for (new, rest, uri, expected) in [
            ("/", "/a%2Fb/", "/api/a%2Fb/?x=%20", Ok("/a%2Fb/?x=%20")),
            ("/v2", "", "/api", Ok("/v2")),
            ("/v2", "/a", "/api/a?", Ok("/v2/a?")),
            ("/v2/", "/a", "http://shop.test/api/a", Ok("http://shop.test/v2/a")),
            ("/v2{rest}/end", "/a", "/api/a", Ok("/v2/a/end")),
            ("/v2{path}", "/a", "/api/a", Ok("/v2/api/a")),
            ("/books/{param:id}", "", "/x", Ok("/books/7")),
            ("/books/{param:all}", "", "/x", Ok("/books/a/b%20c/%25")),
            ("/books/{param:q}", "", "/x", Ok("/books/a%3Fb%23c")),
            ("/books/{param:none}", "", "/x", Ok("/books/")),
            ("/{header:x-a}", "", "/x", Ok("/%2Fevil")),
            ("/books/{param:up}/x", "", "/x", refused),
            ("/books/{param:deep}", "", "/x", refused),
            ("/books/{param:semi}", "", "/x", refused),
            ("/books/{param:nul}", "", "/x", refused),
            ("/v2", "", "*", Ok("*")),
        ] {
            let mut route = prefix();
            route.request.path = Some(template(new));
            let uri = apply(&route, rest, uri, &[("x-a", "/evil")]).map(|head| head.uri.to_string());
            assert_eq!(uri, expected.map(str::to_owned), "{new} {rest}");
        }
    }

    #[test]
    fn hosts_become_others() {
        for (new, uri, expected) in [
            ("books.internal:8080", "/a?b", Ok(("/a?b", "books.internal:8080"))),
            ("books.internal", "http://shop.test/a", Ok(("http://books.internal/a", "books.internal"))),
            ("{header:x-a}.internal", "/", Ok(("/", "good.internal"))),
            ("{header:x-evil}.internal", "/", Err(Reason::BadHost)),
            ("{header:x-none}", "/", Err(Reason::BadHost)),
            ("{header:x-user}", "/", Err(Reason::BadHost)),
        ] {
            let mut route = prefix();
            route.request.host = Some(template(new));
            let headers =
                [("host", "shop.test"), ("x-a", "good"), ("x-evil", "evil.test/"), ("x-user", "a@evil.test")];
            let changed = apply(&route, "", uri, &headers)
                .map(|head| (head.uri.to_string(), head.headers[HOST].to_str().unwrap().to_owned()));
            let expected = expected.map(|(uri, host): (&str, &str)| (uri.to_owned(), host.to_owned()));
            assert_eq!(changed, expected, "{new}");
        }
    }

    #[test]
    fn headers_go_come_and_change_but_never_begin_another() {
        let mut route = prefix();
        let name = HeaderName::from_static;
        let changes = &mut route.request.headers;
        changes.remove = vec![name("x-a")];
        changes.set = vec![
            (name("x-b"), template("{header:x-a}!")),
            (name("x-c"), template("{param:crlf}")),
            (name("x-who"), template("{identity}")),
        ];
        changes.add = vec![(name("x-d"), template("two"))];
        let headers = [("x-a", "1"), ("x-b", "old"), ("x-b", "older"), ("x-who", "root"), ("x-d", "one")];
        let mut head = testing::head("GET", "/api", &headers);
        let mut exchange = testing::exchange("GET", "shop.test", "/api");
        exchange.parameters.push(("crlf".into(), " v\r\nx-evil: 1\0\r\n\r\nGET / ".into()));
        RequestEdits::build(&route).unwrap().apply(&exchange, "", &mut head).unwrap();
        let all: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let mut expected = vec![("x-b", "1!"), ("x-c", "vx-evil: 1GET /"), ("x-d", "one"), ("x-d", "two")];
        expected.sort_unstable();
        let mut all = all;
        all.sort_unstable();
        assert_eq!(all, expected);
    }

    #[test]
    fn what_cannot_be_is_not_built() {
        for (path, host, header) in [
            (Some("v2"), None, None),
            (Some("/v2/../x"), None, None),
            (Some("/v2?x"), None, None),
            (None, Some("a b"), None),
            (None, Some("user@a"), None),
            (None, Some(""), None),
            (None, None, Some(("content-length", "1"))),
            (None, None, Some(("transfer-encoding", "chunked"))),
            (None, None, Some(("connection", "x-a"))),
            (None, None, Some(("keep-alive", "1"))),
            (None, None, Some(("x-a", "1\r\nx-b: 2"))),
        ] {
            let mut route = prefix();
            route.request.path = path.map(template);
            route.request.host = host.map(template);
            if let Some((name, value)) = header {
                route.request.headers.set = vec![(HeaderName::from_static(name), template(value))];
            }
            let error = RequestEdits::build(&route).unwrap_err().to_string();
            assert!(error.contains("route `api`"), "{error}");
        }
    }
}
