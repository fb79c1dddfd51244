use super::*;

fn contract() -> Contract {
    let count = json!({ "type": "integer", "minimum": 0 });
    Contract {
        document: json!({
            "paths": { "/v1/things/{id}": { "get": { "responses": {
                "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Page" } } } },
                "204": { "description": "Nothing." },
                "303": { "description": "There." },
                "429": { "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
                "default": { "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } }
            } } } },
            "components": { "schemas": {
                "Page": { "type": "object", "required": ["data"], "properties": {
                    "data": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } },
                    "next": { "type": ["string", "null"] } } },
                "Thing": { "allOf": [
                    { "$ref": "#/components/schemas/Counts" },
                    { "type": "object", "required": ["id", "state", "data", "headers"], "properties": {
                        "id": { "type": "string" },
                        "state": { "$ref": "#/components/schemas/State" },
                        "problem": { "oneOf": [{ "$ref": "#/components/schemas/Why" }, { "type": "null" }] },
                        "data": { "type": "object" },
                        "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                        "a/b": { "type": "string" } } }] },
                "Counts": { "type": "object", "required": ["rows"], "properties": { "rows": count } },
                "State": { "type": "string", "enum": ["open", "closed"] },
                "Why": { "type": "object", "required": ["code"], "properties": { "code": { "type": "string" } } },
                "Problem": { "type": "object", "required": ["type"], "properties": { "type": { "type": "string" } } }
            } }
        }),
    }
}

fn complete(answer: Value) -> Result<(Value, Vec<String>), String> {
    let contract = contract();
    let Some(Described::Json(schema)) = contract.described(200) else { panic!("200 is described") };
    let done = contract.complete(schema, answer).map_err(|unfit| unfit.to_string())?;
    Ok((done.value, done.missing.into_iter().collect()))
}

fn thing() -> Value {
    json!({ "rows": 3, "id": "t1", "state": "open", "problem": null, "data": { "any": [1] }, "headers": { "a": "b" } })
}

#[test]
fn an_answer_that_gives_everything_goes_on_as_it_is() {
    let answer = json!({ "data": [thing()], "next": null });
    assert_eq!(complete(answer.clone()), Ok((answer, vec![])));
}

#[test]
fn what_is_not_given_is_null_and_named_where_it_belongs() {
    let mut poor = thing();
    for name in ["state", "rows", "problem"] {
        poor.as_object_mut().unwrap().remove(name);
    }
    poor["id"] = Value::Null;
    let mut why = thing();
    why["problem"] = json!({});
    let (done, missing) = complete(json!({ "data": [poor, why, thing()] })).unwrap();
    assert_eq!(done["data"][0]["unavailable"], json!(["/id", "/problem", "/rows", "/state"]));
    assert_eq!(done["data"][0]["rows"], Value::Null);
    assert_eq!(done["data"][1]["problem"], json!({ "code": null }));
    assert_eq!(done["data"][1]["unavailable"], json!(["/problem/code"]));
    assert_eq!(done["data"][2], thing());
    assert_eq!(done["unavailable"], json!(["/next"]));
    let names = ["/data/*/id", "/data/*/problem", "/data/*/problem/code", "/data/*/rows", "/data/*/state"];
    assert_eq!(missing, [&names[..], &["/next"]].concat());
    assert_eq!(
        complete(json!({})).unwrap().0,
        json!({ "data": null, "next": null, "unavailable": ["/data", "/next"] })
    );
}

#[test]
fn what_may_be_left_out_is_not_missed_and_what_is_not_described_goes_no_further() {
    let mut rich = thing();
    rich["secret"] = json!("x");
    rich["a/b"] = json!("given");
    let (done, missing) = complete(json!({ "data": [rich], "next": null, "more": 1 })).unwrap();
    assert_eq!(missing, Vec::<String>::new());
    assert!(done.get("more").is_none() && done["data"][0].get("secret").is_none());
    assert_eq!(done["data"][0]["a/b"], "given");
}

#[test]
fn an_upstream_of_the_upstream_is_believed_about_what_is_null() {
    let answer = json!({ "data": [], "next": null, "unavailable": ["/next", "/data", "/nothing", 7] });
    let (done, missing) = complete(answer).unwrap();
    assert_eq!(done["unavailable"], json!(["/next"]));
    assert_eq!(missing, ["/next"]);
}

#[test]
fn what_is_not_as_described_is_refused_by_its_place_and_without_its_value() {
    let with = |name: &str, value: Value| {
        let mut thing = thing();
        thing[name] = value;
        complete(json!({ "data": [thing], "next": null })).unwrap_err()
    };
    assert!(with("rows", json!("private")).contains("\"/data/*/rows\" is not integer"));
    for (name, value) in [
        ("rows", json!(-1)),
        ("rows", json!(1.5)),
        ("state", json!("private")),
        ("id", json!(["private"])),
        ("problem", json!("private")),
        ("headers", json!({ "a": 1 })),
        ("data", json!("private")),
    ] {
        let said = with(name, value);
        assert!(said.contains(&format!("/data/*/{name}")) && !said.contains("private"), "{said}");
    }
    for whole in [json!([]), json!("private"), json!(null), json!({ "data": {} }), json!({ "data": ["x"] })] {
        assert!(complete(whole.clone()).is_err(), "{whole}");
    }
}

#[test]
fn the_description_says_what_can_be_null_and_where_that_is_named() {
    let mut document = contract().document;
    for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
        let before = schema.clone();
        widen(&contract().document, schema, true);
        let plain = before["properties"].is_null() && before["allOf"].is_null();
        assert_eq!(*schema == before, plain, "{before}");
    }
    let thing = &document["components"]["schemas"]["Thing"]["allOf"][1];
    assert_eq!(thing["properties"]["id"]["type"], json!(["string", "null"]));
    let state = json!({ "oneOf": [{ "$ref": "#/components/schemas/State" }, { "type": "null" }] });
    assert_eq!(thing["properties"]["state"], state);
    assert_eq!(thing["properties"]["a/b"], json!({ "type": "string" }), "left out, but never null");
    assert_eq!(thing["properties"]["unavailable"]["type"], "array");
    let required = json!(["id", "state", "data", "headers"]);
    assert_eq!(thing["required"], required, "null, but there");

    let mut seen = Seen::default();
    let operation = &contract().document["paths"]["/v1/things/{id}"]["get"];
    seen.schemas(&contract().document, &operation["responses"]["200"]);
    let reached: Vec<_> = seen.0.iter().map(|(name, owner)| (name.as_str(), *owner)).collect();
    let want = [("Counts", false), ("Page", true), ("State", false), ("Thing", true), ("Why", false)];
    assert_eq!(reached, want);
}

#[test]
fn statuses_are_what_the_description_says() {
    let contract = contract();
    assert_eq!(contract.described(204), Some(Described::Empty));
    assert_eq!(contract.described(303), Some(Described::Elsewhere));
    assert_eq!(contract.described(201), None);
    assert_eq!(contract.described(429), None, "a problem is none of its answers");
}
