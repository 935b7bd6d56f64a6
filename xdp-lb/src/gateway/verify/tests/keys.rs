//! Keys that are fetched.

use super::*;

/// Waits until it is so; tells when it took too long.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_wait_and_rotate() {
    const ISSUER: &str = "https://issuer.example";
    let (old, new) = (Signer::p256(), Signer::p256());
    let hour = Duration::from_secs(3600);
    let verifiers = [jwt("tokens", fetched(hour, Duration::from_millis(300)), ISSUER)];
    let gate = Arc::new(Gate::build(&verifiers, None).unwrap());
    let mut ask = Scripted::new([jwks(&[old.jwk("old")])]);
    ask.takes = Duration::from_millis(50);
    let ask = Arc::new(ask);
    let task = tokio::spawn({
        let (gate, ask) = (gate.clone(), ask.clone());
        async move { gate.run(&*ask).await }
    });
    let (old_token, new_token) = (token(&old, "old", ISSUER, "alice"), token(&new, "new", ISSUER, "bob"));
    let many = async |token: &str| {
        let access = any_of(&[0]);
        let headers = [(AUTHORIZATION, token)];
        let all = (0..20).map(|_| admit(&gate, &access, &headers, &NEVER));
        futures_util::future::join_all(all).await
    };
    // The first fetch serves all.
    assert!(many(&old_token).await.iter().all(|told| told.as_deref() == Ok("alice")));
    assert_eq!(ask.times(), 1);
    {
        let asked = ask.asked.lock().unwrap();
        assert_eq!(
            (asked[0].uri.to_string(), &asked[0].headers["host"]),
            ("/jwks?a=b".to_owned(), &HeaderValue::from_static("issuer.example"))
        );
    }
    // Another issuer's tokens make nothing be fetched; an unknown key does, at most so often.
    let foreign = token(&new, "new", "https://other.example", "eve");
    assert!(many(&foreign).await.iter().all(|told| *told == Err(Reason::Unverified)));
    assert!(many(&new_token).await.iter().all(|told| *told == Err(Reason::Unverified)));
    assert_eq!(ask.times(), 1, "too early for another fetch");
    ask.then(jwks(&[new.jwk("new")]));
    let mut told = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !told.iter().all(|told: &Result<String, _>| told.as_deref() == Ok("bob")) || told.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{told:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        told = many(&new_token).await;
    }
    assert_eq!(ask.times(), 2, "one fetch for all who waited");
    assert_eq!(many(&old_token).await[0], Err(Reason::Unverified), "a key that was removed is no key");
    // When the issuer fails the keys stay.
    for failure in [
        Err(Reason::ConnectFailed),
        answer(500, &[], ""),
        answer(200, &[], "{}"),
        answer(200, &[], &" ".repeat(2 << 20)),
    ] {
        ask.then(failure);
        let before = ask.times();
        let unknown = token(&old, "unknown", ISSUER, "eve");
        let (access, headers) = (any_of(&[0]), [(AUTHORIZATION, &*unknown)]);
        // Who asked for it goes away at once: the fetch goes on.
        until("the next fetch", || {
            let mut waiting = Box::pin(admit(&gate, &access, &headers, &NEVER));
            let _ = futures_util::FutureExt::now_or_never(waiting.as_mut());
            drop(waiting);
            ask.times() > before
        })
        .await;
        assert_eq!(many(&new_token).await[0].as_deref(), Ok("bob"));
    }
    task.abort();
}

#[tokio::test]
async fn keys_that_were_never_there_are_a_fault_of_ours_and_outlive_a_reload_once_there() {
    const ISSUER: &str = "https://issuer.example";
    let key = Signer::p256();
    let hour = Duration::from_secs(3600);
    let verifiers = |pool: usize| {
        let mut keys = fetched(hour, Duration::from_millis(20));
        if let JwtKeys::Fetched { pool: own, .. } = &mut keys {
            *own = pool;
        }
        [verifier("x", VerifierKind::Certificate { subjects: vec![] }), jwt("tokens", keys, ISSUER)]
    };
    let gate = Arc::new(Gate::build(&verifiers(3)[1..], None).unwrap());
    let ask = Arc::new(Scripted::new([Err(Reason::ConnectFailed)]));
    let task = tokio::spawn({
        let (gate, ask) = (gate.clone(), ask.clone());
        async move { gate.run(&*ask).await }
    });
    let bearer = token(&key, "k", ISSUER, "alice");
    let headers = [(AUTHORIZATION, &*bearer)];
    assert_eq!(admit(&gate, &any_of(&[0]), &headers, &NEVER).await, Err(Reason::VerifierDown));
    ask.then(jwks(&[key.jwk("k")]));
    let before = ask.times();
    // Without any request: what failed is tried again soon.
    until("another fetch", || {
        ask.times() > before + 1 || {
            let told = futures_util::FutureExt::now_or_never(admit(&gate, &any_of(&[0]), &headers, &NEVER));
            told.is_some_and(|told| told.is_ok())
        }
    })
    .await;
    assert_eq!(admit(&gate, &any_of(&[0]), &headers, &NEVER).await.as_deref(), Ok("alice"));
    task.abort();
    // At another index, by way of another pool: the keys are there at once, without a fetch.
    let reloaded = Gate::build(&verifiers(4), Some(&gate)).unwrap();
    assert_eq!(admit(&reloaded, &any_of(&[1]), &headers, &NEVER).await.as_deref(), Ok("alice"));
}
