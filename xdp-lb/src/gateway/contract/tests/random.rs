use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// A schema of OpenAPI 3.0 and a value that it takes.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    let leaf = prop_oneof![
        (any::<i32>(), 0_i64..9).prop_map(|(n, more)| {
            (json!({"type": "integer", "format": "int32", "minimum": i64::from(n) - more}), json!(n))
        }),
        (any::<i32>()).prop_map(|n| {
            (json!({"type": "integer", "minimum": i64::from(n) - 1, "exclusiveMinimum": true}), json!(n))
        }),
        "[a-z]{0,8}"
            .prop_map(|s| (json!({"type": "string", "pattern": "^[a-z]*$", "maxLength": 8}), json!(s))),
        any::<bool>().prop_map(|b| (json!({"type": "boolean"}), json!(b))),
        "[a-z]{1,4}".prop_map(|s| (json!({"type": "string", "enum": [s.clone(), "other"]}), json!(s))),
        Just((json!({"type": "string", "nullable": true, "enum": ["x"]}), Value::Null)),
        Just((json!({"nullable": true, "allOf": [{"type": "object"}]}), Value::Null)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..4).prop_map(|((schema, value), n)| {
                (json!({"type": "array", "items": schema, "maxItems": 4}), json!(vec![value; n]))
            }),
            prop::collection::vec(("[a-z~/$]{1,6}", inner.clone()), 0..4).prop_map(|fields| {
                let mut properties = Map::new();
                let mut values = Map::new();
                for (name, (schema, value)) in fields {
                    properties.insert(name.clone(), schema);
                    values.insert(name, value);
                }
                let required: Vec<_> = properties.keys().cloned().collect();
                let mut schema =
                    json!({"type": "object", "properties": properties, "additionalProperties": false});
                if !required.is_empty() {
                    schema["required"] = json!(required);
                }
                (schema, json!(values))
            }),
            (inner.clone(), inner).prop_map(|((a, value), (b, _))| (json!({"anyOf": [b, a]}), value)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_is_valid_passes_and_the_rest_is_told((schema, value) in pair(), junk in "[\\[\\]{}:,\"a01]{0,12}") {
        let document = json!({
            "openapi": "3.0.3",
            "paths": {"/": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/~0a"}}}},
                "responses": {"200": {"description": ""}},
            }}},
            "components": {"schemas": {"~a": schema}},
        });
        let contracts = contract(&document.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let check = |body: &str| {
            let headers = ["content-type: application/json"];
            runtime.block_on(checked(&contracts, ContractMode::Enforce, "POST /", &headers, body))
        };
        let passed = check(&value.to_string());
        prop_assert!(passed.is_ok(), "{document} {value}: {:?}", passed.map_err(|refusal| told(&refusal.violations)));
        // Whatever else comes passes or is refused with a reason.
        if let Err(refusal) = check(&junk) {
            prop_assert!(!refusal.violations.is_empty(), "{junk}");
        }
        prop_assert!(serde_json::from_str::<Value>(&junk).is_ok() || junk.is_empty() || check(&junk).is_err());
    }
}
