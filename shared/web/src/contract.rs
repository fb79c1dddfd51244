//! An operation's description held against the answer of another party that speaks the same contract (V15): what must be there and
//! is not becomes `null` and is named; what is there must be as described; what is not described goes no further.
//!
//! The description is the one that the operation gives for `openapi.json`, so no answer type needs a second list of its fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// The member that names what was not given.
pub(crate) const UNAVAILABLE: &str = "unavailable";

/// What an operation answers, by status.
pub(crate) struct Contract {
    document: Value,
}

/// How an answer of some status is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Described<'a> {
    /// JSON of this schema.
    Json(&'a Value),
    /// A body of another media type.
    Other(&'a str),
    /// Nothing but a `Location`.
    Elsewhere,
    /// Nothing.
    Empty,
}

/// An answer as it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// The JSON, complete.
    pub value: Value,
    /// What was not given, each name once: `/data/*/file_name`.
    pub missing: BTreeSet<String>,
}

/// Something that is not as described: where, and what it should be. Values are not told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is not as described: {at:?} is not {expected}")]
pub(crate) struct Unfit {
    at: String,
    expected: String,
}

impl Contract {
    pub fn of(document: &OpenApi) -> Self {
        Self { document: serde_json::to_value(document).unwrap_or_default() }
    }

    /// How an answer of this status is described; `None` if it is not, or is a problem.
    pub fn described(&self, status: u16) -> Option<Described<'_>> {
        if status >= 400 {
            return None;
        }
        let operation = self.document["paths"].as_object()?.values().next()?.as_object()?.values().next()?;
        let response = operation["responses"].get(status.to_string())?;
        let content = response.get("content").and_then(Value::as_object).and_then(|c| c.iter().next());
        Some(match content {
            Some((media, content)) if media == "application/json" => Described::Json(&content["schema"]),
            Some((media, _)) => Described::Other(media),
            None if (300..400).contains(&status) => Described::Elsewhere,
            None => Described::Empty,
        })
    }

    /// The answer, completed and checked.
    pub fn complete(&self, schema: &Value, answer: Value) -> Result<Completed, Unfit> {
        let mut filler = Filler { document: &self.document, missing: BTreeSet::new() };
        let value = filler.owner(schema, answer, "")?;
        Ok(Completed { value, missing: filler.missing })
    }
}

/// A schema, its reference followed.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    schema["$ref"].as_str().and_then(|r| document.pointer(r.strip_prefix('#')?)).unwrap_or(schema)
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().or(schema["anyOf"].as_array())
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

/// Whether a schema says nothing.
fn is_any(schema: &Value) -> bool {
    ["type", "$ref", "oneOf", "anyOf", "allOf", "properties", "enum"]
        .iter()
        .all(|word| schema.get(word).is_none())
}

fn is_nullable(document: &Value, schema: &Value) -> bool {
    let schema = resolved(document, schema);
    is_any(schema)
        || is_null(schema)
        || schema["type"].as_array().is_some_and(|types| types.iter().any(|t| t == "null"))
        || alternatives(schema).is_some_and(|all| all.iter().any(|one| is_nullable(document, one)))
}

/// The members of an object's schema: name, schema, and whether each object has it. Those of `allOf` together.
fn members<'a>(document: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value, bool)> {
    let schema = resolved(document, schema);
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut all: Vec<_> = parts.flat_map(|part| members(document, part)).collect();
    let required = |name: &str| schema["required"].as_array().is_some_and(|r| r.iter().any(|n| n == name));
    let own = schema["properties"].as_object().into_iter().flatten();
    // A member that may be null is always there; one that is neither required nor null may be left out.
    all.extend(
        own.map(|(name, member)| (name.as_str(), member, required(name) || is_nullable(document, member))),
    );
    all
}

fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct Filler<'a> {
    document: &'a Value,
    missing: BTreeSet<String>,
}

impl<'a> Filler<'a> {
    /// The answer itself, or an element of a list: an object that names what it lacks.
    fn owner(&mut self, schema: &'a Value, given: Value, at: &str) -> Result<Value, Unfit> {
        let theirs = match given.get(UNAVAILABLE).and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect(),
            None => Vec::new(),
        };
        let mut lacks = BTreeSet::new();
        let mut value = self
            .fill(schema, given, "", &mut lacks)
            .map_err(|unfit| Unfit { at: format!("{at}{}", unfit.at), ..unfit })?;
        // The upstream may have an upstream itself.
        lacks.extend(theirs.into_iter().filter(|name| value.pointer(name).is_some_and(Value::is_null)));
        if let (Some(object), false) = (value.as_object_mut(), lacks.is_empty()) {
            self.missing.extend(lacks.iter().map(|name| format!("{at}{name}")));
            object.insert(UNAVAILABLE.into(), lacks.into_iter().collect());
        }
        Ok(value)
    }

    fn fill(
        &mut self,
        schema: &'a Value,
        given: Value,
        at: &str,
        lacks: &mut BTreeSet<String>,
    ) -> Result<Value, Unfit> {
        let schema = resolved(self.document, schema);
        let unfit = |expected: &str| Unfit { at: at.to_owned(), expected: expected.to_owned() };
        if is_any(schema) || given.is_null() && is_nullable(self.document, schema) {
            return Ok(given);
        }
        if let Some(all) = alternatives(schema) {
            let mut others = all.iter().filter(|one| !is_null(one)).peekable();
            while let Some(one) = others.next() {
                if others.peek().is_none() {
                    return self.fill(one, given, at, lacks);
                }
                let mut tried = BTreeSet::new();
                if let Ok(value) = self.fill(one, given.clone(), at, &mut tried) {
                    lacks.append(&mut tried);
                    return Ok(value);
                }
            }
            return Err(unfit("any of what it may be"));
        }
        let members = members(self.document, schema);
        if !members.is_empty() {
            let Value::Object(mut given) = given else { return Err(unfit("an object")) };
            let mut whole = Map::new();
            for (name, member, always) in members {
                let place = format!("{at}/{}", token(name));
                match given.remove(name) {
                    Some(Value::Null) if is_nullable(self.document, member) => {
                        whole.insert(name.to_owned(), Value::Null);
                    }
                    None | Some(Value::Null) => {
                        if always {
                            whole.insert(name.to_owned(), Value::Null);
                            lacks.insert(place);
                        }
                    }
                    Some(value) => {
                        whole.insert(name.to_owned(), self.fill(member, value, &place, lacks)?);
                    }
                }
            }
            return Ok(Value::Object(whole));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let fits = |name: &&str| match *name {
            "string" => given.is_string(),
            "boolean" => given.is_boolean(),
            "integer" => given.is_i64() || given.is_u64(),
            "number" => given.is_number(),
            "array" => given.is_array(),
            "object" => given.is_object(),
            _ => false,
        };
        let listed = schema["enum"].as_array().is_none_or(|values| values.contains(&given));
        let least = schema["minimum"].as_f64();
        let large = least.is_none_or(|least| given.as_f64().is_none_or(|number| number >= least));
        if !(types.is_empty() || types.iter().any(fits)) || !listed || !large {
            return Err(unfit(&format!("{} as described", types.join(" or "))));
        }
        match given {
            Value::Array(given) => {
                let filled =
                    given.into_iter().map(|one| self.owner(&schema["items"], one, &format!("{at}/*")));
                Ok(Value::Array(filled.collect::<Result<_, _>>()?))
            }
            Value::Object(given) if schema["additionalProperties"].is_object() => {
                let values = given.into_iter().map(|(name, value)| {
                    let place = format!("{at}/{}", token(&name));
                    Ok((name, self.fill(&schema["additionalProperties"], value, &place, lacks)?))
                });
                Ok(Value::Object(values.collect::<Result<_, Unfit>>()?))
            }
            plain => Ok(plain),
        }
    }
}

/// The description of operations that may have an upstream: in what they answer, every member that is always there may be null, and
/// each object that is an answer or an element of a list can have `unavailable`.
pub(crate) fn widened(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let mut seen = Seen::default();
    let mut kept = Seen::default();
    let operations = document["paths"].as_object().into_iter().flatten().filter_map(|(_, i)| i.as_object());
    for operation in operations.flatten().map(|(_, operation)| operation) {
        kept.schemas(&document, &operation["requestBody"]);
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let seen = if status.starts_with('2') { &mut seen } else { &mut kept };
            seen.schemas(&document, response);
        }
    }
    // What is written out where it is used (the rows of a page) stands among the components as well.
    let names: Vec<String> =
        document["components"]["schemas"].as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect();
    for name in names {
        if !seen.0.contains_key(&name) && !kept.0.contains_key(&name) {
            seen.reach(&document, &json!({ "$ref": format!("#/components/schemas/{name}") }), true);
        }
    }
    let before = document.clone();
    for (name, owner) in seen.0 {
        widen(&before, &mut document["components"]["schemas"][&name], owner);
    }
    document
}

/// Components that are reached, and whether one is an answer or a list's element somewhere.
#[derive(Default)]
struct Seen(BTreeMap<String, bool>);

impl Seen {
    fn schemas(&mut self, document: &Value, body: &Value) {
        for (_, content) in body["content"].as_object().into_iter().flatten() {
            self.reach(document, &content["schema"], true);
        }
    }

    fn reach(&mut self, document: &Value, schema: &Value, owner: bool) {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/components/schemas/")) {
            let known = self.0.get(name).copied();
            if known.is_none() || known == Some(false) && owner {
                self.0.insert(name.to_owned(), owner);
                self.reach(document, resolved(document, schema), owner);
            }
            return;
        }
        for (_, member) in schema["properties"].as_object().into_iter().flatten() {
            self.reach(document, member, false);
        }
        for one in ["allOf", "oneOf", "anyOf"].iter().filter_map(|word| schema[word].as_array()).flatten() {
            // The parts are not answers; the whole is.
            self.reach(document, one, false);
        }
        for word in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(word) {
                self.reach(document, inner, word == "items");
            }
        }
    }
}

fn widen(document: &Value, schema: &mut Value, owner: bool) {
    for word in ["allOf", "oneOf", "anyOf"] {
        let parts = schema.get_mut(word).and_then(Value::as_array_mut);
        let parts: Vec<_> =
            parts.into_iter().flatten().filter(|part| part["properties"].is_object()).collect();
        let last = parts.len();
        for (at, part) in parts.into_iter().enumerate() {
            widen(document, part, owner && word == "allOf" && at + 1 == last);
        }
    }
    let required: BTreeSet<String> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, member) in members.iter_mut() {
            widen(document, member, false);
            if required.contains(name) && !is_nullable(document, member) {
                make_nullable(member);
            }
        }
        if owner {
            members.insert(
                UNAVAILABLE.into(),
                json!({
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "What the upstream verification API did not give: JSON Pointers to members that are null for that reason, not into elements of lists, which have their own. Only there if it is not empty; never without an upstream.",
                    "example": ["/file_name"]
                }),
            );
        }
    }
    if let Some(items) = schema.get_mut("items") {
        widen(document, items, true);
    }
}

fn make_nullable(schema: &mut Value) {
    if let Some(all) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        all.push(json!({ "type": "null" }));
    } else if let (Some(kind), None) = (schema["type"].as_str().map(str::to_owned), schema.get("enum")) {
        schema["type"] = json!([kind, "null"]);
    } else {
        let plain = schema.take();
        *schema = json!({ "oneOf": [plain, { "type": "null" }] });
    }
}

#[cfg(test)]
mod tests;
