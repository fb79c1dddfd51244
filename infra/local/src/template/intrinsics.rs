//! Intrinsic functions and pseudo parameters, evaluated on demand over a tree of stacks.
//!
//! A reference is followed when it is met: a nested stack's parameter is evaluated in its parent, and
//! `Nested.Outputs.X` in the child. So no order of stacks has to be found, and a cycle shows as a depth limit.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TemplateError;
use super::load::StackTemplate;

/// Follows references this deep before it calls them a cycle.
const MAX_DEPTH: usize = 64;
/// Stands for `AWS::NoValue` until the surrounding map or list drops it.
const NO_VALUE: &str = "\u{0}AWS::NoValue";

/// What `Ref` and `GetAtt` of a resource give.
pub trait Attributes {
    /// `attribute` is empty for `Ref`. `None` if the resource has no such attribute.
    fn attribute(
        &self,
        resolver: &Resolver<'_>,
        stack: usize,
        logical: &str,
        attribute: &str,
    ) -> Result<Option<Value>, TemplateError>;
}

/// Evaluates values of a list of stacks, parents first.
pub struct Resolver<'a> {
    /// The stacks.
    pub stacks: &'a [StackTemplate],
    /// Values for the root's parameters; the rest take their default.
    pub parameters: &'a BTreeMap<String, String>,
    /// `AWS::Region`.
    pub region: &'a str,
    /// `AWS::AccountId`.
    pub account_id: &'a str,
    /// Physical ids.
    pub attributes: &'a dyn Attributes,
}

impl Resolver<'_> {
    /// The value without intrinsics.
    ///
    /// # Errors
    /// If a reference leads nowhere or a function is used wrongly.
    pub fn resolve(&self, stack: usize, value: &Value) -> Result<Value, TemplateError> {
        let value = self.eval(stack, value, 0)?;
        Ok(if is_no_value(&value) { Value::Null } else { value })
    }

    /// Whether a resource's or output's `Condition`, if any, holds.
    ///
    /// # Errors
    /// If the condition is not defined.
    pub fn included(&self, stack: usize, item: &Value) -> Result<bool, TemplateError> {
        match item["Condition"].as_str() {
            Some(name) => self.condition(stack, name, 0),
            None => Ok(true),
        }
    }

    /// Whether a nested stack exists: the conditions on its resource, and on those above, hold.
    ///
    /// # Errors
    /// If a condition is not defined.
    pub fn exists(&self, stack: usize) -> Result<bool, TemplateError> {
        match &self.stacks[stack].parent {
            None => Ok(true),
            Some((parent, logical)) => {
                let resource = &self.stacks[*parent].section("Resources")[logical];
                Ok(self.included(*parent, resource)? && self.exists(*parent)?)
            }
        }
    }

    /// The index of the stack nested under `logical`.
    pub fn child(&self, stack: usize, logical: &str) -> Option<usize> {
        self.stacks.iter().position(|s| s.parent.as_ref().is_some_and(|(p, l)| *p == stack && l == logical))
    }

    fn error(&self, stack: usize, reason: impl Into<String>) -> TemplateError {
        TemplateError::shape(self.stacks[stack].path.display().to_string(), reason)
    }

    fn eval(&self, stack: usize, value: &Value, depth: usize) -> Result<Value, TemplateError> {
        if depth > MAX_DEPTH {
            return Err(self.error(stack, "references form a cycle"));
        }
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|v| self.eval(stack, v, depth + 1));
                let kept = items.filter(|v| !v.as_ref().is_ok_and(is_no_value));
                Ok(Value::Array(kept.collect::<Result<_, _>>()?))
            }
            Value::Object(map) => {
                if let Some((name, argument)) = function(map) {
                    return self.call(stack, name, argument, depth + 1);
                }
                let mut out = Map::new();
                for (key, v) in map {
                    let v = self.eval(stack, v, depth + 1)?;
                    if !is_no_value(&v) {
                        out.insert(key.clone(), v);
                    }
                }
                Ok(Value::Object(out))
            }
            plain => Ok(plain.clone()),
        }
    }

    fn call(&self, stack: usize, name: &str, argument: &Value, depth: usize) -> Result<Value, TemplateError> {
        let wrong = || self.error(stack, format!("{name} has the wrong arguments: {argument}"));
        let eval = |v: &Value| self.eval(stack, v, depth);
        let list = || argument.as_array().ok_or_else(wrong);
        let text = |v: &Value| eval(v).and_then(|v| scalar(&v).ok_or_else(wrong));
        match name {
            "Ref" => self.reference(stack, argument.as_str().ok_or_else(wrong)?, depth),
            "Condition" => {
                self.condition(stack, argument.as_str().ok_or_else(wrong)?, depth).map(Value::Bool)
            }
            "Fn::GetAtt" => match list()?.as_slice() {
                [Value::String(logical), attribute] => self.get_att(stack, logical, &text(attribute)?, depth),
                _ => Err(wrong()),
            },
            "Fn::Sub" => match argument {
                Value::String(s) => self.substitute(stack, s, &Map::new(), depth),
                Value::Array(items) => match items.as_slice() {
                    [Value::String(s), Value::Object(names)] => self.substitute(stack, s, names, depth),
                    _ => Err(wrong()),
                },
                _ => Err(wrong()),
            },
            "Fn::Join" => match list()?.as_slice() {
                [Value::String(separator), items] => {
                    let items = eval(items)?;
                    let items = items.as_array().ok_or_else(wrong)?;
                    let parts: Option<Vec<_>> = items.iter().map(scalar).collect();
                    Ok(Value::String(parts.ok_or_else(wrong)?.join(separator)))
                }
                _ => Err(wrong()),
            },
            "Fn::Split" => match list()?.as_slice() {
                [Value::String(separator), whole] => {
                    Ok(text(whole)?.split(separator.as_str()).map(Value::from).collect())
                }
                _ => Err(wrong()),
            },
            "Fn::Select" => match list()?.as_slice() {
                [index, items] => {
                    let index: usize = text(index)?.parse().map_err(|_| wrong())?;
                    let mut items = eval(items)?;
                    items.get_mut(index).map(Value::take).ok_or_else(wrong)
                }
                _ => Err(wrong()),
            },
            "Fn::If" => match list()?.as_slice() {
                [Value::String(condition), yes, no] => {
                    eval(if self.condition(stack, condition, depth)? { yes } else { no })
                }
                _ => Err(wrong()),
            },
            "Fn::Equals" => match list()?.as_slice() {
                [a, b] => Ok(Value::Bool(text(a)? == text(b)?)),
                _ => Err(wrong()),
            },
            "Fn::And" | "Fn::Or" | "Fn::Not" => {
                let parts = list()?.iter().map(|v| eval(v)?.as_bool().ok_or_else(wrong));
                let parts = parts.collect::<Result<Vec<bool>, _>>()?;
                Ok(Value::Bool(match (name, parts.as_slice()) {
                    ("Fn::And", parts) => parts.iter().all(|p| *p),
                    ("Fn::Or", parts) => parts.iter().any(|p| *p),
                    (_, [only]) => !only,
                    _ => return Err(wrong()),
                }))
            }
            "Fn::FindInMap" => match list()?.as_slice() {
                [map, top, second, ..] => {
                    let (map, top, second) = (text(map)?, text(top)?, text(second)?);
                    let found = &self.stacks[stack].section("Mappings")[&map][&top][&second];
                    if found.is_null() { Err(wrong()) } else { eval(found) }
                }
                _ => Err(wrong()),
            },
            "Fn::Base64" => {
                use base64::Engine as _;
                Ok(Value::String(base64::engine::general_purpose::STANDARD.encode(text(argument)?)))
            }
            "Fn::Length" => Ok(Value::from(eval(argument)?.as_array().ok_or_else(wrong)?.len())),
            "Fn::ToJsonString" => Ok(Value::String(eval(argument)?.to_string())),
            "Fn::GetAZs" => {
                Ok(["a", "b", "c"].map(|z| Value::String(format!("{}{z}", self.region))).to_vec().into())
            }
            "Fn::ImportValue" => self.import(stack, &text(argument)?, depth),
            other => Err(self.error(stack, format!("intrinsic {other} is not supported"))),
        }
    }

    fn reference(&self, stack: usize, name: &str, depth: usize) -> Result<Value, TemplateError> {
        let this = &self.stacks[stack];
        match name {
            "AWS::Region" => return Ok(self.region.into()),
            "AWS::AccountId" => return Ok(self.account_id.into()),
            "AWS::StackName" => return Ok(this.name.clone().into()),
            "AWS::StackId" => {
                let arn = format!(
                    "arn:aws:cloudformation:{}:{}:stack/{}/0",
                    self.region, self.account_id, this.name
                );
                return Ok(arn.into());
            }
            "AWS::Partition" => return Ok("aws".into()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".into()),
            "AWS::NotificationARNs" => return Ok(Value::Array(Vec::new())),
            "AWS::NoValue" => return Ok(NO_VALUE.into()),
            _ => {}
        }
        if let Some(parameter) = this.section("Parameters").get(name) {
            return self.parameter(stack, name, parameter, depth);
        }
        match self.attributes.attribute(self, stack, name, "")? {
            Some(value) => Ok(value),
            None => Err(self.error(stack, format!("!Ref {name} names no parameter and no resource"))),
        }
    }

    fn parameter(
        &self,
        stack: usize,
        name: &str,
        declared: &Value,
        depth: usize,
    ) -> Result<Value, TemplateError> {
        let given = match &self.stacks[stack].parent {
            None => self.parameters.get(name).cloned().map(Value::String),
            Some((parent, logical)) => {
                let passed = &self.stacks[*parent].section("Resources")[logical]["Properties"]["Parameters"];
                match passed.get(name) {
                    Some(value) => Some(self.eval(*parent, value, depth + 1)?),
                    None => None,
                }
            }
        };
        let value = match given.filter(|v| !is_no_value(v)) {
            Some(value) => value,
            None if declared["Default"].is_null() => {
                return Err(self.error(stack, format!("parameter {name} has neither a value nor a default")));
            }
            None => declared["Default"].clone(),
        };
        let kind = declared["Type"].as_str().unwrap_or("String");
        Ok(match (kind.contains("List"), &value) {
            (true, Value::String(s)) => s.split(',').map(|p| Value::from(p.trim())).collect(),
            (false, Value::Array(items)) => {
                Value::String(items.iter().filter_map(scalar).collect::<Vec<_>>().join(","))
            }
            (false, plain) => scalar(plain).map_or(value, Value::String),
            _ => value,
        })
    }

    fn get_att(
        &self,
        stack: usize,
        logical: &str,
        attribute: &str,
        depth: usize,
    ) -> Result<Value, TemplateError> {
        if let (Some(child), Some(output)) = (self.child(stack, logical), attribute.strip_prefix("Outputs."))
        {
            let declared = self.stacks[child].section("Outputs").get(output);
            let declared =
                declared.ok_or_else(|| self.error(stack, format!("{logical} has no output {output}")))?;
            return self.eval(child, &declared["Value"], depth + 1);
        }
        match self.attributes.attribute(self, stack, logical, attribute)? {
            Some(value) => Ok(value),
            None => Err(self.error(stack, format!("!GetAtt {logical}.{attribute} is not known"))),
        }
    }

    fn condition(&self, stack: usize, name: &str, depth: usize) -> Result<bool, TemplateError> {
        let declared = self.stacks[stack].section("Conditions").get(name);
        let declared =
            declared.ok_or_else(|| self.error(stack, format!("condition {name} is not defined")))?;
        let value = self.eval(stack, declared, depth + 1)?;
        value.as_bool().ok_or_else(|| self.error(stack, format!("condition {name} is not true or false")))
    }

    fn import(&self, stack: usize, name: &str, depth: usize) -> Result<Value, TemplateError> {
        for (index, candidate) in self.stacks.iter().enumerate() {
            for output in candidate.section("Outputs").as_object().into_iter().flat_map(Map::values) {
                let export = &output["Export"]["Name"];
                if !export.is_null() && self.eval(index, export, depth + 1)? == name {
                    return self.eval(index, &output["Value"], depth + 1);
                }
            }
        }
        Err(self.error(stack, format!("no output is exported as {name}")))
    }

    fn substitute(
        &self,
        stack: usize,
        text: &str,
        names: &Map<String, Value>,
        depth: usize,
    ) -> Result<Value, TemplateError> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = rest.split_at(start);
            out.push_str(before);
            let end = after.find('}').ok_or_else(|| self.error(stack, format!("unclosed ${{ in {text}")))?;
            let name = after[2..end].trim();
            rest = &after[end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let value = match (names.get(name), name.split_once('.')) {
                (Some(value), _) => self.eval(stack, value, depth)?,
                (None, Some((logical, attribute))) => self.get_att(stack, logical, attribute, depth)?,
                (None, None) => self.reference(stack, name, depth)?,
            };
            let value = scalar(&value)
                .ok_or_else(|| self.error(stack, format!("${{{name}}} is not a single value")))?;
            out.push_str(&value);
        }
        out.push_str(rest);
        Ok(Value::String(out))
    }
}

/// The intrinsic function that a map is, if it is one.
fn function(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, argument) = entries.next()?;
    let is_function =
        name == "Ref" || name.starts_with("Fn::") || name == "Condition" && argument.is_string();
    (entries.next().is_none() && is_function).then_some((name.as_str(), argument))
}

fn is_no_value(value: &Value) -> bool {
    value == NO_VALUE
}

/// A string, number or boolean as CloudFormation would put it into a string.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::load::parse;
    use serde_json::json;

    struct Named;
    impl Attributes for Named {
        fn attribute(
            &self,
            resolver: &Resolver<'_>,
            stack: usize,
            logical: &str,
            attribute: &str,
        ) -> Result<Option<Value>, TemplateError> {
            let known = resolver.stacks[stack].section("Resources").get(logical).is_some();
            Ok(known.then(|| format!("{logical}|{attribute}").into()))
        }
    }

    fn stack(name: &str, text: &str, parent: Option<(usize, &str)>) -> StackTemplate {
        StackTemplate {
            name: name.into(),
            path: name.into(),
            body: parse(text).unwrap(),
            parent: parent.map(|(index, logical)| (index, logical.to_owned())),
        }
    }

    fn resolve(stacks: &[StackTemplate], index: usize, text: &str) -> Result<Value, TemplateError> {
        let parameters = BTreeMap::from([("Stage".to_owned(), "prod".to_owned())]);
        let resolver = Resolver {
            stacks,
            parameters: &parameters,
            region: "us-east-1",
            account_id: "000000000000",
            attributes: &Named,
        };
        resolver.resolve(index, &parse(text).unwrap())
    }

    const ROOT: &str = "
Parameters: {Stage: {Type: String, Default: dev}, Many: {Type: CommaDelimitedList, Default: 'a, b'}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Other: !Not [!Condition Prod]
  Both: !And [!Condition Prod, !Or [!Condition Other, !Equals [1, '1']]]
Mappings: {Sizes: {prod: {memory: 512}}}
Resources:
  Queue: {Type: 'AWS::SQS::Queue'}
  Area:
    Type: AWS::Serverless::Application
    Properties: {Location: x, Parameters: {Url: !GetAtt Queue.Arn, Flag: !If [Prod, 'yes', 'no']}}
";
    const CHILD: &str = "
Parameters: {Url: {Type: String}, Flag: {Type: String}, Size: {Type: Number, Default: 3}}
Resources: {Table: {Type: 'AWS::DynamoDB::Table'}}
Outputs: {Name: {Value: !Sub '${Table}-${Flag}', Export: {Name: !Sub '${AWS::StackName}-name'}}}
";

    fn stacks() -> Vec<StackTemplate> {
        vec![stack("root", ROOT, None), stack("root-Area", CHILD, Some((0, "Area")))]
    }

    #[test]
    fn functions_give_what_cloudformation_gives() {
        let cases = [
            ("!Ref Stage", json!("prod")),
            ("!Ref Many", json!(["a", "b"])),
            ("!Ref Queue", json!("Queue|")),
            ("!GetAtt Queue.Arn", json!("Queue|Arn")),
            (
                "!Sub '${Stage}-${!Literal}-${Queue.Arn}-${AWS::Region}'",
                json!("prod-${Literal}-Queue|Arn-us-east-1"),
            ),
            ("!Sub ['${A}/${Stage}', {A: !Ref Queue}]", json!("Queue|/prod")),
            ("!Join ['-', [a, !Ref Stage, 3]]", json!("a-prod-3")),
            ("!Select [1, !Split [',', 'x,y,z']]", json!("y")),
            ("!If [Both, 1, 2]", json!(1)),
            ("!If [Other, 1, 2]", json!(2)),
            ("!FindInMap [Sizes, !Ref Stage, memory]", json!(512)),
            (
                "{a: 1, b: !Ref AWS::NoValue, c: [1, !If [Other, 2, !Ref AWS::NoValue]]}",
                json!({"a": 1, "c": [1]}),
            ),
            ("!GetAtt Area.Outputs.Name", json!("Table|-yes")),
            ("!ImportValue root-Area-name", json!("Table|-yes")),
            ("!Base64 abc", json!("YWJj")),
            ("!ToJsonString {a: !Ref Stage}", json!("{\"a\":\"prod\"}")),
            ("{Condition: {StringEquals: {a: b}}}", json!({"Condition": {"StringEquals": {"a": "b"}}})),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(&stacks(), 0, text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_nested_stack_sees_its_parents_values_and_its_own_defaults() {
        assert_eq!(resolve(&stacks(), 1, "!Ref Url").unwrap(), json!("Queue|Arn"));
        assert_eq!(resolve(&stacks(), 1, "!Ref Size").unwrap(), json!("3"));
        assert_eq!(resolve(&stacks(), 1, "!Ref AWS::StackName").unwrap(), json!("root-Area"));
    }

    #[test]
    fn a_wrong_reference_is_an_error_that_names_it() {
        for (text, name) in [
            ("!Ref Nobody", "Nobody"),
            ("!GetAtt Area.Outputs.Nothing", "Nothing"),
            ("!If [Missing, 1, 2]", "Missing"),
            ("!Transform {Name: x}", "Fn::Transform"),
            ("!Sub '${Stage'", "unclosed"),
        ] {
            let error = resolve(&stacks(), 0, text).unwrap_err().to_string();
            assert!(error.contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn a_cycle_ends() {
        let cyclic = "Conditions: {A: !Condition B, B: !Condition A}\nResources: {}";
        let error = resolve(&[stack("root", cyclic, None)], 0, "!If [A, 1, 2]").unwrap_err();
        assert!(error.to_string().contains("cycle"), "{error}");
    }
}
