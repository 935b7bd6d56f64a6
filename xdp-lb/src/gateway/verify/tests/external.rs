//! A service that decides.

use http::header::{COOKIE, LOCATION};

use super::*;

fn external(fail_open: bool) -> Gate {
    let config = External {
        pool: 3,
        prefix: "/check/".to_owned(),
        request_headers: vec![AUTHORIZATION, HeaderName::from_static("x-forwarded-for")],
        response_headers: vec![HeaderName::from_static("x-tenant")],
        timeout: Duration::from_millis(200),
        fail_open,
    };
    Gate::build(&[verifier("service", VerifierKind::External(config))], None).unwrap()
}

#[tokio::test]
async fn a_service_decides() {
    let access = Access { external: Some(0), ..Access::default() };
    let tenant = HeaderName::from_static("x-tenant");
    let sent = [
        (AUTHORIZATION, "hush"),
        (tenant.clone(), "forged"),
        (HeaderName::from_static("x_tenant"), "forged"),
        (HeaderName::from_static("x-forwarded-for"), "forged"),
        (HeaderName::from_static("cookie"), "hush"),
    ];
    let login =
        [("www-authenticate", "Bearer"), ("location", "https://login.example/"), ("set-cookie", "a=b")];
    for (fail_open, script, told) in [
        (false, answer(200, &[("x-tenant", "blue"), ("x-other", "no")], ""), Ok(vec!["blue"])),
        (false, answer(204, &[("x-tenant", "a"), ("x-tenant", "b")], ""), Ok(vec!["a", "b"])),
        (false, answer(200, &[], ""), Ok(vec![])),
        (false, answer(401, &login, ""), Err((Reason::Unverified, 2))),
        (true, answer(403, &login, ""), Err((Reason::ExternalRefused, 2))),
        (true, answer(302, &login, ""), Err((Reason::ExternalRefused, 2))),
        (true, answer(404, &[], ""), Err((Reason::ExternalRefused, 0))),
        (false, answer(500, &login, ""), Err((Reason::VerifierDown, 1))),
        (false, Err(Reason::ConnectFailed), Err((Reason::VerifierDown, 1))),
        (true, answer(500, &[("x-tenant", "blue")], ""), Ok(vec![])),
        (true, Err(Reason::ConnectFailed), Ok(vec![])),
    ] {
        let ask = Scripted::new([script.clone()]);
        let (mut exchange, mut head) = (exchange(), head(&sent));
        let result = external(fail_open).admit(&access, &mut exchange, &mut head, &ask).await;
        let tenants: Vec<_> =
            head.headers.get_all(&tenant).iter().map(|value| value.to_str().unwrap()).collect();
        let seen =
            result.as_ref().map(|()| tenants).map_err(|refusal| (refusal.reason, refusal.headers.len()));
        assert_eq!(seen, told, "{fail_open} {script:?}");
        assert!(!head.headers.contains_key("x_tenant"));
        if let Err(refusal) = result {
            assert!(!format!("{refusal:?}").contains("hush"));
            let passed = refusal.headers.iter().find(|(name, _)| name == LOCATION);
            assert_eq!(passed.is_some(), refusal.headers.len() == 2);
        }
        let asked = ask.asked.lock().unwrap().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.uri.to_string()), ("POST", "/check/a?b=c".to_owned()));
        for (name, value) in [
            ("authorization", "hush"),
            ("host", "api.example.com"),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-uri", "/a?b=c"),
            ("x-forwarded-host", "api.example.com"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            let values: Vec<_> = asked.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
        assert!(!asked.headers.contains_key("cookie"));
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_waited_for() {
    let access = Access { external: Some(0), ..Access::default() };
    for (fail_open, passes) in [(false, false), (true, true)] {
        let mut ask = Scripted::new([answer(200, &[], "")]);
        ask.takes = Duration::from_secs(600);
        let (mut exchange, mut head) = (exchange(), head(&[]));
        let result = external(fail_open).admit(&access, &mut exchange, &mut head, &ask).await;
        assert_eq!(result.is_ok(), passes);
        if let Err(refusal) = result {
            assert_eq!(refusal.reason.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}

#[tokio::test]
async fn what_a_service_says_of_a_client_the_client_cannot_say_on_any_route() {
    let own = ["x-tenant", "X-Tenant", "x_tenant"];
    let sent = own.map(|name| (HeaderName::from_bytes(name.as_bytes()).unwrap(), "forged"));
    let mut head = head(&[&sent[..], &[(AUTHORIZATION, "hush"), (COOKIE, "a=b")]].concat());
    let mut gate = external(false);
    gate.strip(&mut head.headers);
    assert_eq!(head.headers.len(), 2, "{:?}", head.headers);
    // What the service is told of is the client's own word, as a cookie that the service exchanges for another.
    let config = External {
        pool: 0,
        prefix: String::new(),
        request_headers: vec![HeaderName::from_static("x-session")],
        response_headers: vec![HeaderName::from_static("x-session"), AUTHORIZATION, COOKIE],
        timeout: Duration::from_secs(1),
        fail_open: false,
    };
    gate = Gate::build(&[verifier("service", VerifierKind::External(config))], None).unwrap();
    head.headers.insert("x-session", "1".parse().unwrap());
    gate.strip(&mut head.headers);
    assert_eq!(head.headers.len(), 3, "{:?}", head.headers);
}
