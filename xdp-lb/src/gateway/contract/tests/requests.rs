use super::*;

const TENANT: &str = "x-tenant: acme";
const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn parameters_are_read_as_they_are_described() {
    let contracts = contract(PETS);
    let good: &[(&str, &[&str])] = &[
        ("GET /pets", &[TENANT]),
        ("HEAD /pets?limit=100", &[TENANT]),
        ("GET /pets?limit=1&unknown=%FF", &[TENANT]),
        ("GET /pets?tags=a&tags=b%20c&tags=d+e", &[TENANT]),
        ("GET /pets?ids=1,2,3", &[TENANT]),
        ("GET /pets?sizes=1.5|2%7C3e1&words=on%20off+on", &[TENANT]),
        ("GET /pets?filter[age]=3&filter%5Bkind%5D=no&filter[alive]=true", &[TENANT]),
        ("GET /pets?where=%7B%22city%22%3A%22Rome%22%7D&exact", &[TENANT]),
        (
            "GET /pets?exact=false",
            &[TENANT, "cookie: a=b; session=67e55044-10b1-426f-9247-bb680e5fe0c8", "x-trace: 1, 2"],
        ),
        ("GET /pets", &[TENANT, "x-trace: 1", "x-trace: 2,3"]),
        ("GET /pets/mine", &[]),
        ("GET /pets/9223372036854775807", &[]),
        ("GET /area/1,2/w=3,h=4", &[]),
    ];
    for (line, headers) in good {
        match checked(&contracts, ContractMode::Enforce, line, headers, "").await {
            Ok((_, operation, violations)) => assert!(operation.is_some() && violations.is_empty(), "{line}"),
            Err(refusal) => panic!("{line}: {:?}", told(&refusal.violations)),
        }
    }
    let bad: &[(&str, &[&str], &[&str])] = &[
        ("GET /pets", &[], &["header X-Tenant: is missing"]),
        ("GET /pets", &["x-tenant: ACME"], &["header X-Tenant: value does not match \"^[a-z]+$\""]),
        ("GET /pets", &[TENANT, TENANT], &["header X-Tenant: is there more than once"]),
        ("GET /pets?limit=101", &[TENANT], &["query limit: value is greater than the maximum of 100"]),
        ("GET /pets?limit=ten", &[TENANT], &["query limit: value is not of type \"integer\""]),
        ("GET /pets?limit=05", &[TENANT], &["query limit: value is not of type \"integer\""]),
        ("GET /pets?limit=1.0", &[TENANT], &["query limit: value is not of type \"integer\""]),
        ("GET /pets?limit=%201", &[TENANT], &["query limit: value is not of type \"integer\""]),
        ("GET /pets?limit=", &[TENANT], &["query limit: value is not of type \"integer\""]),
        ("GET /pets?limit=1&limit=2", &[TENANT], &["query limit: is there more than once"]),
        (
            "GET /pets?limit=%ZZ",
            &[TENANT],
            &["query limit: is not UTF-8, or has a % that begins no encoded byte"],
        ),
        (
            "GET /pets?tags=%FF",
            &[TENANT],
            &["query tags: is not UTF-8, or has a % that begins no encoded byte"],
        ),
        ("GET /pets?tags=a&tags=", &[TENANT], &["query tags/1: value is shorter than 1 character"]),
        ("GET /pets?tags=a&tags=b&tags=c&tags=d", &[TENANT], &["query tags: value has more than 3 items"]),
        ("GET /pets?ids=1,x", &[TENANT], &["query ids/1: value is not of type \"integer\""]),
        ("GET /pets?ids=1%2C2", &[TENANT], &["query ids/0: value is not of type \"integer\""]),
        ("GET /pets?sizes=1|.5", &[TENANT], &["query sizes/1: value is not of type \"number\""]),
        ("GET /pets?words=maybe", &[TENANT], &["query words/0: value is not one of \"on\" or \"off\""]),
        ("GET /pets?filter[age]=x", &[TENANT], &["query filter/age: value is not of type \"integer\""]),
        ("GET /pets?filter[a][b]=x", &[TENANT], &["query filter: is nested deeper than OpenAPI has it"]),
        ("GET /pets?filter[age]=1&filter[age]=2", &[TENANT], &["query filter: has `age` more than once"]),
        ("GET /pets?where={}", &[TENANT], &["query where: \"city\" is a required property"]),
        (
            "GET /pets?where={",
            &[TENANT],
            &["query where: is not JSON: EOF while parsing an object at line 1 column 1"],
        ),
        (
            "GET /pets?where={%22city%22:1,%22city%22:2}",
            &[TENANT],
            &["query where: has a name twice, at `/city`"],
        ),
        ("GET /pets", &[TENANT, "cookie: session=1"], &["cookie session: value is not a \"uuid\""]),
        ("GET /pets", &[TENANT, "cookie: session=1; other=ü"], &["cookie session: value is not a \"uuid\""]),
        ("GET /pets", &[TENANT, "cookie: a=b; session = 1"], &["cookie session: value is not a \"uuid\""]),
        ("GET /pets", &[TENANT, "x-trace: 1,b"], &["header X-Trace/1: value is not of type \"integer\""]),
        ("GET /pets/theirs", &[], &["path petId: value is not of type \"integer\""]),
        (
            "GET /pets/9223372036854775808",
            &[],
            &["path petId: value is greater than the maximum of 9223372036854775807"],
        ),
        (
            "GET /area/1/h=4",
            &[],
            &["path corners: value has less than 2 items", "path box: \"w\" is a required property"],
        ),
        ("GET /area/1,2/w", &[], &["path box: is no list of names with values"]),
        (
            "GET /pets?limit=0&ids=x",
            &[],
            &[
                "query limit: value is less than the minimum of 1",
                "query ids/0: value is not of type \"integer\"",
                "header X-Tenant: is missing",
            ],
        ),
    ];
    for (line, headers, want) in bad {
        let refusal = checked(&contracts, ContractMode::Enforce, line, headers, "").await.unwrap_err();
        assert_eq!(
            (refusal.reason, told(&refusal.violations)),
            (Reason::ContractBroken, want.iter().map(|&w| w.to_owned()).collect()),
            "{line}"
        );
        let (_, operation, violations) =
            checked(&contracts, ContractMode::Report, line, headers, "").await.unwrap();
        assert!(operation.is_some() && violations == refusal.violations, "{line}");
        let (_, operation, violations) =
            checked(&contracts, ContractMode::Off, line, headers, "").await.unwrap();
        assert!(operation.is_some() && violations.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn what_is_not_described_is_refused() {
    let contracts = contract(PETS);
    for (line, reason, allow) in [
        ("GET /", Reason::NoRoute, None),
        ("GET /pets/", Reason::NoRoute, None),
        ("GET /pets/1/2", Reason::NoRoute, None),
        ("DELETE /pets", Reason::WrongMethod, Some("GET, POST, HEAD")),
        ("POST /pets/mine", Reason::WrongMethod, Some("GET, HEAD")),
    ] {
        let refusal = checked(&contracts, ContractMode::Enforce, line, &[], "").await.unwrap_err();
        let allowed = refusal.headers.first().map(|(_, value)| value.to_str().unwrap());
        assert_eq!((refusal.reason, allowed), (reason, allow), "{line}");
        let (_, operation, violations) =
            checked(&contracts, ContractMode::Report, line, &[], "").await.unwrap();
        assert!(operation.is_none() && violations.len() == 1, "{line}");
    }
    // Outside of the document's part of the path.
    let (head, _) = asked("GET /pets", &[]);
    let done =
        contracts.check_request(&used(ContractMode::Enforce), &head, "/other/pets", Body::empty()).await;
    assert_eq!(done.unwrap_err().reason, Reason::NoRoute);
}

/// Name, headers, body, and what it is refused for.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, Option<(Reason, &'a [&'a str])>);

#[tokio::test]
async fn bodies_of_3_0() {
    let contracts = contract(PETS);
    let form = "content-type: application/x-www-form-urlencoded";
    let deep =
        format!(r#"{{"name":"a","secret":"s","mother":{}}}"#, r#"{"name":"b","secret":"s","mother":null}"#);
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(50_000));
    let broken = Reason::ContractBroken;
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("good", &[JSON], r#"{"name":"a","secret":"s","nick":null,"mood":null,"weight":90,"born":"2024-02-29"}"#, None),
        ("charset", &["content-type: Application/JSON; charset=utf-8"], r#"{"name":"a","secret":"s"}"#, None),
        ("quoted charset", &["content-type: application/json;charset=\"UTF-8\""], r#"{"name":"a","secret":"s"}"#, None),
        ("other charset", &["content-type: application/json; charset=utf-16"], r#"{"name":"a","secret":"s"}"#, Some((Reason::WrongContentType, &["header content-type: has another charset than UTF-8, which cannot be checked"]))),
        ("recursive", &[JSON], &deep, None),
        ("text", &["content-type: text/csv"], "a,b", None),
        ("missing", &[JSON], "", Some((broken, &["body : is missing"]))),
        ("no type", &[], "{}", Some((Reason::WrongContentType, &["header content-type: is missing"]))),
        ("two types", &[JSON, JSON], "{}", Some((Reason::WrongContentType, &["header content-type: is not one media type"]))),
        ("other type", &["content-type: application/xml"], "<a/>", Some((Reason::WrongContentType, &["header content-type: is not one of: application/json, application/x-www-form-urlencoded, text/*"]))),
        ("encoded", &[JSON, "content-encoding: gzip"], "x", Some((Reason::WrongContentType, &["header content-encoding: a body with a content coding cannot be checked; send it without one"]))),
        ("too large", &[JSON], &long, Some((Reason::BodyTooLarge, &[]))),
        ("no JSON", &[JSON], "{\n\"name\" 1}", Some((broken, &["body : is not JSON: expected `:` at line 2 column 8"]))),
        ("twice", &[JSON], r#"{"name":"a","secret":"s","kind":"cat","kind":"dog"}"#, Some((broken, &["body /kind: is there more than once"]))),
        ("read-only", &[JSON], r#"{"id":1,"name":"a","secret":"s"}"#, Some((broken, &["body /id: is read-only: it may not be sent"]))),
        ("all that is wrong", &[JSON], r#"{"name":"","nick":5,"mood":"x","weight":0,"born":"2023-02-29","legs":3000000000,"kind":false}"#, Some((broken, &[
            "body /name: value is shorter than 1 character",
            "body : \"secret\" is a required property",
            "body /kind: value is not one of \"cat\", \"dog\" or \"no\"",
            "body /kind: value is not of type \"string\"",
            "body /nick: value is not of types \"null\", \"string\"",
            "body /mood: value is not one of \"good\", \"bad\" or null",
            "body /weight: value is less than or equal to the minimum of 0",
            "body /born: value is not a \"date\"",
            "body /legs: value is greater than the maximum of 2147483647",
        ]))),
        ("a child", &[JSON], r#"{"name":"a","secret":"s","children":[{"name":"b","secret":"s"},{"name":"c"}]}"#, Some((broken, &["body /children/1: \"secret\" is a required property"]))),
        ("a form", &[form], "name=a+b&kind=no&age=3&tags=x&tags=y&place=%7B%22city%22:1%7D&more=1", Some((broken, &["body /place/city: value is not of type \"string\""]))),
        ("a good form", &[form], "name=a+b&kind=no&age=3&tags=x&place=%7B%22city%22:%22R%22%7D", None),
        ("a poor form", &[form], "name=a&age=0", Some((broken, &["body /age: value is less than or equal to the minimum of 0", "body : \"kind\" is a required property"]))),
        ("a form twice", &[form], "name=a&name=b&kind=cat", Some((broken, &["body /name: is there more than once"]))),
    ];
    for (name, headers, body, want) in cases {
        let headers: Vec<_> = headers.iter().copied().chain([TENANT]).collect();
        let done = checked(&contracts, ContractMode::Enforce, "POST /pets", &headers, body).await;
        match (done, want) {
            (Ok((passed, operation, violations)), None) => {
                assert!(passed == *body && violations.is_empty(), "{name}");
                assert_eq!(operation.unwrap().name(), "addPet");
            }
            (Err(refusal), Some((reason, want))) => {
                let mut told = told(&refusal.violations);
                let mut want = want.to_vec();
                told.sort();
                want.sort_unstable();
                assert_eq!(
                    (refusal.reason, told),
                    (*reason, want.iter().map(|&w| w.to_owned()).collect()),
                    "{name}"
                );
                assert!(refusal.cause.is_none_or(|cause| !cause.contains("2023-02-29")), "{name}");
            }
            (done, _) => panic!("{name}: {done:?}"),
        }
        // Reported, it goes on as it came, and too large a body too.
        let reported = checked(&contracts, ContractMode::Report, "POST /pets", &headers, body).await.unwrap();
        assert!(reported.0 == *body && reported.2.is_empty() == want.is_none(), "{name}");
    }
    let refusal = checked(&contracts, ContractMode::Enforce, "GET /pets/1", &[], "x").await.unwrap_err();
    assert_eq!(
        told(&refusal.violations),
        ["body : is there, and the API's description has none for this request"]
    );
    assert!(checked(&contracts, ContractMode::Enforce, "PUT /pets/1", &[], "").await.is_ok());
}

#[tokio::test]
async fn bodies_of_3_1() {
    let contracts = contract(ORDERS);
    for (line, body, want) in [
        (
            "PUT /orders/7?at=2024-01-01T00:00:00Z&n=9",
            r#"{"point":[1,2],"x_a":1,"parts":[2,1],"next":{"note":null}}"#,
            vec![],
        ),
        (
            "PUT /orders/abc?at=&n=all",
            r#"{"mail":"a@b.c","note":"x","site":"https://a/","from":"::1","pay":{"cash":true}}"#,
            vec![],
        ),
        (
            "PUT /orders/abcd?n=10&at=now",
            "{}",
            vec![
                "path id: value does not match \"^[a-z]{3}$|^[0-9]+$\"",
                "query n: value is not valid under any of the schemas listed in the 'anyOf' keyword",
                "query at: value is not a \"date-time\"",
            ],
        ),
        (
            "PUT /orders/1",
            r#"{"point":[1,2,3],"x_a":0,"parts":[2,2],"other":1}"#,
            vec![
                "body /point/2: is not allowed here",
                "body /x_a: value is less than or equal to the minimum of 0",
                "body /parts: None of value are valid under the given schema",
                "body /parts: value has non-unique elements",
                "body : Unevaluated properties are not allowed ('other' was unexpected)",
            ],
        ),
        (
            "PUT /orders/1",
            r#"{"mail":"a","from":"1.2.3","site":"::"}"#,
            vec![
                "body : \"note\" is a required property",
                "body /mail: value is not a \"email\"",
                "body /site: value is not a \"uri\"",
                "body /from: value is not valid under any of the schemas listed in the 'anyOf' keyword",
            ],
        ),
        ("PUT /orders/1", r#"{"code":"a1"}"#, vec!["body /code: is read-only: it may not be sent"]),
        (
            "PUT /orders/1",
            r#"{"pay":{"card":"1","cash":true}}"#,
            vec![
                "body /pay: value is valid under more than one of the schemas listed in the 'oneOf' keyword",
            ],
        ),
    ] {
        let done = checked(&contracts, ContractMode::Report, line, &[JSON], body).await.unwrap();
        let (mut told, mut want) = (told(&done.2), want);
        told.sort();
        want.sort_unstable();
        assert_eq!(told, want, "{line} {body}");
    }
}

#[tokio::test]
async fn violations_are_bounded() {
    let contracts = contract(PETS);
    let mut used = used(ContractMode::Enforce);
    used.most_bytes = 1 << 20;
    for (children, want) in [(50, 100), (51, 101), (500, 101), (20_000, 2)] {
        let body = format!(r#"{{"name":"a","secret":"s","children":[{}5]}}"#, "5,".repeat(children - 1));
        let (head, path) = asked("POST /pets", &[JSON, TENANT]);
        let refusal = contracts.check_request(&used, &head, &path, Body::full(body)).await.unwrap_err();
        // A number is no object on both sides of `allOf`.
        assert_eq!(refusal.violations.len(), want, "{children}");
        let last = &refusal.violations[want - 1];
        assert_eq!(last.detail == "there may be more that is wrong", children > 50, "{children}");
    }
}
