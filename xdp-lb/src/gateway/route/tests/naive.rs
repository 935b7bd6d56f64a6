//! The rules of matching once more, by trying every route, against random routes and requests.

use proptest::prelude::*;

use super::*;
use crate::gateway::enforce::without_empty_segments;

/// How specific each of the route's hosts is that fits; nothing: not of this route.
fn host_ranks(route: &Route, host: &str) -> Vec<usize> {
    let rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some(1000),
        HostPattern::Below(name) => host.ends_with(&format!(".{name}")).then_some(name.len()),
    };
    if route.hosts.is_empty() { vec![0] } else { route.hosts.iter().filter_map(rank).collect() }
}

/// The less, the more specific; `None`: not of this route.
fn path_rank(pattern: &PathPattern, path: &str) -> Option<String> {
    match pattern {
        PathPattern::Prefix(prefix) => {
            let fits = path == prefix || path.starts_with(&format!("{prefix}/"));
            fits.then(|| format!("1{:03}", 999 - prefix.len()))
        }
        PathPattern::Path(pattern) => {
            if !fits(pattern, path) {
                return None;
            }
            let rank = pattern.split('/').map(|segment| match (segment.find('{'), segment.find('}')) {
                (Some(before), Some(end)) => {
                    let whole = usize::from(segment.contains('*'));
                    format!("1{:03}{whole}{:03}", 999 - before, 999 - (segment.len() - end - 1))
                }
                _ => "0".to_owned(),
            });
            Some(format!("0{}", rank.collect::<Vec<_>>().join("/")))
        }
    }
}

/// Whether the path is of the pattern, by trying every length of each parameter.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((text, rest)) = pattern.split_once('{') else { return pattern == path };
    let (Some(path), Some((name, rest))) = (path.strip_prefix(text), rest.split_once('}')) else {
        return false;
    };
    (1..=path.len())
        .take_while(|&length| name.starts_with('*') || !path[..length].contains('/'))
        .any(|length| fits(rest, &path[length..]))
}

fn expected(routes: &[Route], method: &Method, host: &str, path: &str) -> Option<usize> {
    let mut all = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let allowed = route.methods.is_empty() || route.methods.contains(method);
        for rank in host_ranks(route, host) {
            all.extend(
                path_rank(&route.path, path).filter(|_| allowed).map(|path| (1000 - rank, path, index)),
            );
        }
    }
    all.into_iter().min().map(|(.., index)| index)
}

fn pattern() -> impl Strategy<Value = PathPattern> {
    let segment = "(a|b|ab|\\{x\\}|a\\{x\\}|\\{x\\}b|a\\{x\\}b|ab\\{x\\})";
    let rest = "(/|/\\{\\*r\\}|/a\\{\\*r\\})?";
    prop_oneof![
        "(/(a|b|ab)){0,3}".prop_map(PathPattern::Prefix),
        prop::string::string_regex(&format!("(/{segment}){{1,3}}{rest}"))
            .unwrap()
            .prop_map(PathPattern::Path),
    ]
}

fn any_route() -> impl Strategy<Value = Route> {
    let hosts = prop::collection::vec(prop::sample::select(&["a.b.c", "b.c", "*.b.c", "*.c"][..]), 0..3);
    let methods = prop_oneof![Just(vec![]), Just(vec!["GET", "HEAD"]), Just(vec!["PUT"])];
    (hosts, pattern(), methods).prop_map(|(mut hosts, path, methods)| {
        hosts.sort_unstable();
        hosts.dedup();
        route(&hosts, path, &methods)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_trying_all_finds(
        routes in prop::collection::vec(any_route(), 0..24),
        requests in prop::collection::vec(
            (
                prop::sample::select(&["GET", "PUT"][..]),
                prop::sample::select(&["a.b.c", "b.c", "x.b.c", "x.a.b.c", "c", "d"][..]),
                "(/(a|b|ab|aab|abb|c)?){1,4}",
            ),
            64,
        ),
    ) {
        let table = Table::build(&routes).unwrap();
        for (method, host, path) in requests {
            let head = testing::head(method, &path, &[]);
            let wanted = expected(&routes, &head.method, host, &path);
            let other = ["GET", "PUT"].iter().any(|method| expected(&routes, &method.parse().unwrap(), host, &path).is_some());
            // As a server may read it: no route is found that this would not be.
            let merged = without_empty_segments(&path).and_then(|path| expected(&routes, &head.method, host, &path));
            let found = table.find(&head, host);
            match (&found, wanted) {
                (Match::Route(found), Some(wanted)) => {
                    prop_assert_eq!(found.route, wanted, "{} {} {}", method, host, path);
                    prop_assert!(merged.is_none_or(|merged| merged == wanted), "{} {} {}", method, host, path);
                    if let PathPattern::Path(pattern) = &routes[wanted].path {
                        prop_assert_eq!(found.parameters.len(), pattern.matches('{').count());
                    }
                }
                (Match::Ambiguous, Some(wanted)) => {
                    prop_assert!(path.contains("//") && merged != Some(wanted), "{} {} {}", method, host, path);
                }
                (Match::WrongMethod { .. }, None) => prop_assert!(other, "{} {} {}", method, host, path),
                (Match::None, None) => prop_assert!(!other, "{} {} {}", method, host, path),
                _ => prop_assert!(false, "{} {} {}: {:?}, not {:?}", method, host, path, found, wanted),
            }
        }
    }
}
