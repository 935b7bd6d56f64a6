use http::Response;
use http_body_util::StreamBody;

use super::*;

const PET: &str = r#"{"id":1,"name":"a"}"#;

fn answer(status: u16, headers: &[&str]) -> http::response::Parts {
    let mut answer = Response::builder().status(status);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        answer = answer.header(name, value);
    }
    answer.body(()).unwrap().into_parts().0
}

/// Name, request, status, headers and body of the answer, violations, why the body was not checked.
type Case<'a> = (&'a str, &'a str, u16, &'a [&'a str], &'a str, &'a [&'a str], Option<Unchecked>);

#[tokio::test]
async fn answers_are_held_to_the_description() {
    let contracts = contract(PETS);
    let json = "content-type: application/json";
    let total = "x-total: 3";
    let long = format!(r#"[{}{PET}]"#, format!("{PET},").repeat(3000));
    let pets = format!("[{PET}]");
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("good", "GET /pets", 200, &[json, total], &pets, &[], None),
        ("no header", "GET /pets", 200, &[json], &pets, &["header X-Total: is missing"], None),
        ("wrong header", "GET /pets", 200, &[json, "x-total: x"], &pets, &["header X-Total: value is not of type \"integer\""], None),
        ("wrong body", "GET /pets", 200, &[json, total], r#"[{"name":1}]"#, &["body /0/name: value is not of type \"string\"", "body /0: \"id\" is a required property"], None),
        ("write-only", "GET /pets", 200, &[json, total], r#"[{"id":1,"name":"a","secret":"s"}]"#, &["body /0/secret: is write-only: it may not be answered"], None),
        ("other type", "GET /pets", 200, &["content-type: text/html", total], "<p>", &["header content-type: is not one of: application/json"], None),
        ("no JSON", "GET /pets", 200, &[json, total], "[", &["body : is not JSON: EOF while parsing a list at line 1 column 1"], None),
        ("encoded", "GET /pets", 200, &[json, total, "content-encoding: gzip"], "x", &[], Some(Unchecked::Encoded)),
        ("too large", "GET /pets", 200, &[json, total], &long, &[], Some(Unchecked::TooLarge)),
        ("HEAD", "HEAD /pets", 200, &[total], "", &[], None),
        ("a class", "GET /pets", 404, &["content-type: application/problem+json"], "{}", &["body : \"title\" is a required property"], None),
        ("the default", "GET /pets", 500, &[], "anything", &[], None),
        ("not modified", "GET /pets", 304, &[], "", &[], None),
        ("not described", "GET /pets/1", 500, &[json], "{}", &["status 500: is not in the API's description"], None),
        ("no content", "GET /pets/mine", 204, &[], "", &[], None),
    ];
    for &(name, line, status, headers, body, want, unchecked) in cases {
        let (head, path) = asked(line, &[]);
        let found =
            contracts.check_request(&used(ContractMode::Off), &head, &path, Body::empty()).await.unwrap();
        let (operation, head) = (found.1.unwrap(), answer(status, headers));
        let pieces: Vec<_> = body
            .as_bytes()
            .chunks(7)
            .map(|piece| Ok(http_body::Frame::data(bytes::Bytes::copy_from_slice(piece))))
            .collect();
        let streamed = || Body::wrap(StreamBody::new(futures_util::stream::iter(pieces_again(&pieces))));
        let reported = contracts
            .check_response(&used(ContractMode::Report), &operation, &head, streamed())
            .await
            .unwrap();
        let mut all = told(&reported.violations);
        let mut want: Vec<_> = want.iter().map(|&w| w.to_owned()).collect();
        all.sort();
        want.sort();
        assert_eq!((all, reported.unchecked), (want.clone(), unchecked), "{name}");
        assert_eq!(reported.body.collect().await.unwrap().to_bytes(), body, "{name}");
        match contracts.check_response(&used(ContractMode::Enforce), &operation, &head, streamed()).await {
            Ok(passed) => {
                assert!(want.is_empty(), "{name}");
                assert_eq!(passed.body.collect().await.unwrap().to_bytes(), body, "{name}");
            }
            Err(refusal) => {
                assert!(!want.is_empty() && refusal.violations.is_empty(), "{name}");
                assert_eq!(refusal.reason, Reason::AnswerRefused, "{name}");
                assert!(refusal.cause.unwrap().contains(&want[0]), "{name}");
            }
        }
    }
}

type Piece = Result<http_body::Frame<bytes::Bytes>, crate::gateway::BodyError>;

fn pieces_again(pieces: &[Piece]) -> Vec<Piece> {
    let data = pieces.iter().flatten().filter_map(|frame| frame.data_ref());
    data.map(|data| Ok(http_body::Frame::data(data.clone()))).collect()
}
