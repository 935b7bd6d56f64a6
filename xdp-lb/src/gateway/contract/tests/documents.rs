use super::*;

/// A document with one operation, of which a part is replaced.
fn with(part: &str, by: &str) -> String {
    let text = r##"{
        "openapi": "3.0.3",
        "paths": { "/a/{b}": { "get": {
            "parameters": [{ "name": "b", "in": "path", "required": true, "schema": { "type": "string" } }],
            "responses": { "200": { "description": "", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/A" } } } } }
        } } },
        "components": { "schemas": { "A": { "type": "object" } } }
    }"##;
    assert!(text.contains(part), "{part}");
    text.replace(part, by)
}

#[test]
fn what_is_wrong_is_told_by_pointer() {
    let get = "/paths/~1a~1{b}/get";
    assert!(built(&with("{", "{")).is_ok());
    for (name, part, by, want) in [
        ("no version", "\"openapi\": \"3.0.3\",", "", vec![("/openapi".to_owned(), "has to be a string")]),
        ("old", "3.0.3", "2.0", vec![("/openapi".to_owned(), "has to be a string")]),
        ("no JSON", "\"openapi\":", "\"openapi\"", vec![(String::new(), "give a document in JSON or YAML")]),
        (
            "twice",
            "\"openapi\"",
            "\"openapi\": 1, \"openapi\"",
            vec![("/openapi".to_owned(), "is there twice")],
        ),
        (
            "dialect",
            "3.0.3\"",
            "3.1.0\", \"jsonSchemaDialect\": \"urn:x\"",
            vec![("/jsonSchemaDialect".to_owned(), "draft of JSON Schema")],
        ),
        (
            "leads out",
            "#/components/schemas/A",
            "other.yaml#/A",
            vec![(
                format!("{get}/responses/200/content/application~1json/schema/$ref"),
                "leads out of the document",
            )],
        ),
        (
            "leads to nothing",
            "#/components/schemas/A",
            "#/components/schemas/B",
            vec![(format!("{get}/responses/200/content/application~1json/schema/$ref"), "leads to nothing")],
        ),
        (
            "endless",
            "{ \"type\": \"object\" }",
            "{ \"$ref\": \"#/components/schemas/A\" }",
            vec![
                (
                    format!("{get}/responses/200/content/application~1json/schema/$ref"),
                    "leads back to itself",
                ),
                ("/components/schemas/A/$ref".to_owned(), "leads back to itself"),
            ],
        ),
        (
            "no schema",
            "\"type\": \"object\"",
            "\"type\": \"thing\", \"minimum\": \"x\"",
            vec![
                ("/components/schemas/A/type".to_owned(), "is not what a schema has"),
                ("/components/schemas/A/minimum".to_owned(), "is not what a schema has"),
            ],
        ),
        (
            "bad pattern",
            "\"type\": \"object\"",
            "\"pattern\": \"(\"",
            vec![("/components/schemas/A".to_owned(), "is no schema that can be used")],
        ),
        (
            "anchors",
            "\"type\": \"object\"",
            "\"$anchor\": \"x\"",
            vec![("/components/schemas/A/$anchor".to_owned(), "is not supported")],
        ),
        (
            "not described",
            "\"name\": \"b\"",
            "\"name\": \"c\"",
            vec![(get.to_owned(), "is in the path"), (get.to_owned(), "and not in it")],
        ),
        (
            "not required",
            "\"required\": true,",
            "",
            vec![(format!("{get}/parameters/0/required"), "has to be true")],
        ),
        (
            "place",
            "\"in\": \"path\"",
            "\"in\": \"body\"",
            vec![(format!("{get}/parameters/0/in"), "has to be"), (get.to_owned(), "is in the path")],
        ),
        (
            "style",
            "\"in\": \"path\"",
            "\"in\": \"path\", \"style\": \"matrix\"",
            vec![
                (format!("{get}/parameters/0/style"), "is not supported"),
                (get.to_owned(), "is in the path"),
            ],
        ),
        ("status", "\"200\"", "\"2xx\"", vec![(format!("{get}/responses/2xx"), "is no status")]),
        (
            "media type",
            "application/json",
            "json",
            vec![(format!("{get}/responses/200/content/json"), "is no media type")],
        ),
        (
            "two in a segment",
            "/a/{b}",
            "/a/{b}-{c}",
            vec![("/paths/~1a~1{b}-{c}".to_owned(), "two parameters between two slashes")],
        ),
        (
            "the same path",
            "\"/a/{b}\":",
            "\"/a/{c}\": {}, \"/a/{b}\":",
            vec![("/paths/~1a~1{b}".to_owned(), "takes the same paths")],
        ),
        ("no slash", "/a/{b}", "a/{b}", vec![("/paths/a~1{b}".to_owned(), "has to begin with /")]),
        ("open brace", "/a/{b}", "/a/{b", vec![("/paths/~1a~1{b".to_owned(), "has a { without")]),
    ] {
        let error = built(&with(part, by)).unwrap_err();
        assert_eq!(error.problems.len(), want.len(), "{name}: {error}");
        for (pointer, mend) in want {
            let is_it = |problem: &Problem| problem.pointer == pointer && problem.mend.contains(mend);
            assert!(error.problems.iter().any(is_it), "{name}: {pointer}: {mend}: {error}");
        }
        assert!(error.to_string().starts_with("openapi `test` (/"), "{name}: {error}");
    }
}

#[test]
fn all_documents_are_told_of() {
    let document =
        |name: &str| Document { name: name.to_owned(), path: PathBuf::from(format!("/nowhere/{name}")) };
    let error = Contracts::build(&[document("a"), document("b")]).unwrap_err();
    assert_eq!(
        error.problems.iter().map(|problem| problem.document.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn other_drafts_are_known() {
    for dialect in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        contract(&with("3.0.3\"", &format!("3.1.1\", \"jsonSchemaDialect\": \"{dialect}\"")));
    }
}

#[test]
fn yaml_is_read_as_1_2_has_it() {
    let text = "openapi: 3.1.0\npaths:\n  /x:\n    get:\n      parameters:\n      - {name: n, in: query, schema: {enum: [no, on, 1]}}\n      responses: {200: {description: y}}\n";
    let problems = &mut Problems::default();
    let source = Source::parse(text.as_bytes(), problems).unwrap();
    let values = source.root.pointer("/paths/~1x/get/parameters/0/schema/enum").unwrap();
    assert_eq!(values, &serde_json::json!(["no", "on", 1]));
    contract(text);
}

#[test]
fn a_file_without_end_is_no_document() {
    let document = Document { name: "test".to_owned(), path: "/dev/zero".into() };
    let error = Contracts::build(&[document]).unwrap_err().to_string();
    assert!(error.contains("/dev/zero") && error.contains("no regular file"), "{error}");
}
