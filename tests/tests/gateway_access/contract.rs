//! Requests and answers against an OpenAPI document.

use super::*;

pub(super) const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Orders, version: "1" }
paths:
  /orders/{id}:
    put:
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer } }
        - { name: dry, in: query, schema: { type: boolean } }
        - { name: session, in: cookie, schema: { type: string, format: uuid } }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [item, count]
              additionalProperties: false
              properties: { item: { type: string, minLength: 1 }, count: { type: integer, minimum: 1 } }
      responses:
        "200":
          description: done
          content:
            application/json: { schema: { type: object, required: [total], properties: { total: { type: integer } } } }
"#;

#[test]
fn requests_and_answers_keep_to_the_description() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let answer = |asked: &Asked| {
        let answer = Response::builder().header("content-type", "application/json");
        let wrong = asked.target.path().ends_with("/7") || asked.target.path().ends_with("/8");
        let text = if wrong { r#"{"total":"x"}"# } else { r#"{"total":1}"# };
        let coded = asked.target.path().ends_with("/8").then_some("gzip");
        let answer =
            coded.into_iter().fold(answer, |answer, coding| answer.header("content-encoding", coding));
        answer.body(text.to_owned()).unwrap()
    };
    let server = Answering::start(netns.handle(), 9001, answer).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("orders.yaml", DOCUMENT).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[openapi]]
name = "orders"
path = "{folder}/orders.yaml"
[[route]]
name = "reported"
prefix = "/v1"
pool = "api"
openapi = { document = "orders", base_path = "/v1" }
[[route]]
name = "enforced"
prefix = "/v2"
pool = "api"
openapi = { document = "orders", base_path = "/v2", responses = "enforce" }
"#
    );
    gateway.start(&config).unwrap();
    let json = "Content-Type: application/json";
    let put = |path: &str, headers: &[&str], body: &str| {
        let line = format!("PUT {path} HTTP/1.1");
        ask(&netns, &[&[&*line], headers].concat(), body)
    };
    let good = r#"{"item":"a","count":2}"#;
    assert_eq!(put("/v1/orders/1", &[json], good).status, 200);
    assert_eq!(put("/v2/orders/1", &[json], good).status, 200);
    assert_eq!(server.take_asked().len(), 2);
    let refused = put(
        "/v1/orders/x?dry=maybe",
        &[json, "Cookie: other=\u{fc}; session = 1"],
        r#"{"item":"","count":0,"more":1}"#,
    );
    assert_eq!((refused.status, refused.reason()), (400, "contract_broken"), "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let mut told: Vec<_> = refused.body["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["in"].as_str().unwrap(), one["pointer"].as_str().unwrap()))
        .collect();
    told.sort();
    assert_eq!(
        told,
        ["body ", "body /count", "body /item", "cookie session", "path id", "query dry"],
        "{refused:?}"
    );
    for (headers, body, status) in [
        (&["Content-Type: text/plain"][..], good, 415),
        (&[], good, 415),
        (&[json, "Content-Type: text/plain"], good, 415),
        (&["Content-Type: application/json, text/plain"], good, 415),
        (&["Content-Type: application/json; charset=utf-16"], good, 415),
        (&[json, "Content-Encoding: gzip"], good, 415),
        (&[json], "\u{feff}{\"item\":\"a\",\"count\":2}", 400),
        (&[json], r#"{"item":"a","count":2,"count":-1}"#, 400),
        (&[json], r#"{"item":"a","count":2,"c\u006funt":-1}"#, 400),
        (&[json], r#"{"item":"a","count":1e999}"#, 400),
        (&[json], r#"{"item":"a","count":2} {}"#, 400),
        (&[json], "", 400),
    ] {
        let seen = put("/v1/orders/1", headers, body);
        assert_eq!(seen.status, status, "{headers:?} {body}: {seen:?}");
    }
    let deep = format!(r#"{{"item":{}"a"{},"count":2}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(put("/v1/orders/1", &[json], &deep).status, 400);
    let pieces: String = good.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let chunked = put("/v1/orders/1", &[json, "Transfer-Encoding: chunked"], &format!("{pieces}0\r\n\r\n"));
    assert_eq!(chunked.status, 200);
    let bad: String = good.replace('2', "0").chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let chunked = put("/v1/orders/1", &[json, "Transfer-Encoding: chunked"], &format!("{bad}0\r\n\r\n"));
    assert_eq!(chunked.status, 400);
    let wrong = get(&netns, "/v1/orders/1", &[]);
    assert_eq!((wrong.status, wrong.header("allow")), (405, "PUT"), "{wrong:?}");
    assert_eq!(put("/v1/orders/1/", &[json], good).status, 404);
    assert_eq!(server.take_asked().len(), 1, "what is refused reaches no server");

    let reported = put("/v1/orders/7", &[json], good);
    assert_eq!((reported.status, &reported.body["total"]), (200, &json!("x")), "{reported:?}");
    let enforced = put("/v2/orders/7", &[json], good);
    assert_eq!((enforced.status, enforced.reason()), (502, "answer_refused"), "{enforced:?}");
    assert!(!enforced.body.to_string().contains("total"), "what is inside stays inside: {enforced:?}");

    let sample = "xdp_lb_gateway_answers_unchecked_total{route=\"enforced\",reason=\"encoded\"}";
    assert_eq!(metric(&gateway.metrics().unwrap(), sample).unwrap(), 0.0);
    assert_eq!(put("/v2/orders/8", &[json], good).status, 200, "what cannot be read passes");
    assert_eq!(metric(&gateway.metrics().unwrap(), sample).unwrap(), 1.0, "and is counted");
    gateway.logged(|line| line.contains(r#""unchecked":"encoded""#)).unwrap();
}
