use tokio::time::Instant;

use super::*;

/// Run by itself in a release build, with `--nocapture`, it tells the figure that counts.
#[tokio::test]
async fn a_small_body_is_checked_in_microseconds() {
    const TIMES: u32 = 5_000;
    let contracts = contract(PETS);
    let used = used(ContractMode::Enforce);
    let headers = ["content-type: application/json", "x-tenant: acme", "accept: */*"];
    let (head, path) = asked("POST /pets", &headers);
    let body =
        r#"{"name":"Rex","secret":"s","kind":"dog","nick":null,"weight":12.5,"born":"2020-02-29","legs":4}"#;
    let began = Instant::now();
    for _ in 0..TIMES {
        let done = contracts.check_request(&used, &head, &path, Body::full(body)).await.unwrap();
        assert!(done.2.is_empty());
    }
    let each = began.elapsed() / TIMES;
    println!("a body of {} bytes: {each:?}", body.len());
    let most = std::time::Duration::from_micros(if cfg!(debug_assertions) { 2000 } else { 20 });
    assert!(each < most, "{each:?}");
}
