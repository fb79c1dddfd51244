//! Reads the root template and every nested stack it names.
//!
//! Short intrinsic tags (`!Ref`) become their long form (`{"Ref": …}`), so the rest of the crate knows one shape.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use super::TemplateError;

/// A template with the stack it makes.
#[derive(Debug, Clone)]
pub struct StackTemplate {
    /// The stack's name; a nested stack's is `<parent>-<LogicalId>`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The document, intrinsics in long form.
    pub body: Value,
    /// Index of the parent in the list, and the logical id there. `None` at the root.
    pub parent: Option<(usize, String)>,
}

impl StackTemplate {
    /// A top-level section such as `Resources`; null if absent.
    pub fn section(&self, name: &str) -> &Value {
        &self.body[name]
    }

    /// Resources in the order in which the file has them.
    pub fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.body["Resources"].as_object().into_iter().flatten()
    }
}

/// Loads `root` and all nested stacks, parents first.
///
/// # Errors
/// If a file is missing, is not YAML, or a nested stack's location is not a plain relative path.
pub fn load(root: &Path, stack_name: &str) -> Result<Vec<StackTemplate>, TemplateError> {
    let mut stacks = vec![StackTemplate {
        name: stack_name.to_owned(),
        path: root.to_owned(),
        body: parse_file(root)?,
        parent: None,
    }];
    let mut next = 0;
    while next < stacks.len() {
        let mut nested = Vec::new();
        for (logical, resource) in stacks[next].resources() {
            let place = || format!("{}/{logical}", stacks[next].name);
            let location = match resource["Type"].as_str() {
                Some("AWS::Serverless::Application") => &resource["Properties"]["Location"],
                Some("AWS::CloudFormation::Stack") => &resource["Properties"]["TemplateURL"],
                _ => continue,
            };
            let location = location.as_str().ok_or_else(|| {
                TemplateError::shape(place(), "a nested stack's location must be a relative path")
            })?;
            let folder = stacks[next].path.parent().unwrap_or(Path::new("."));
            let path = folder.join(location);
            nested.push(StackTemplate {
                name: format!("{}-{logical}", stacks[next].name),
                body: parse_file(&path)?,
                path,
                parent: Some((next, logical.clone())),
            });
        }
        if nested.iter().any(|n| stacks.iter().any(|s| s.path == n.path)) {
            return Err(TemplateError::shape(&stacks[next].name, "a template is nested twice or in itself"));
        }
        stacks.append(&mut nested);
        next += 1;
    }
    Ok(stacks)
}

fn parse_file(path: &Path) -> Result<Value, TemplateError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|source| TemplateError::Yaml { path: path.to_owned(), source })
}

/// Parses one document; see the module.
///
/// # Errors
/// If the text is not YAML.
pub fn parse(text: &str) -> Result<Value, serde_yaml_ng::Error> {
    Ok(to_json(serde_yaml_ng::from_str(text)?))
}

fn to_json(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::Number(n) => serde_json::to_value(n).unwrap_or(Value::Null),
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect()),
        Yaml::Mapping(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let key = match to_json(key) {
                        Value::String(s) => s,
                        other => other.to_string(),
                    };
                    (key, to_json(value))
                })
                .collect(),
        ),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            intrinsic(tag.trim_start_matches('!'), to_json(tagged.value))
        }
    }
}

fn intrinsic(tag: &str, argument: Value) -> Value {
    let (name, argument) = match (tag, argument) {
        ("Ref" | "Condition", argument) => (tag.to_owned(), argument),
        ("GetAtt", Value::String(dotted)) => {
            let (logical, attribute) = dotted.split_once('.').unwrap_or((&dotted, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![logical, attribute]))
        }
        (tag, argument) => (format!("Fn::{tag}"), argument),
    };
    Value::Object(Map::from_iter([(name, argument)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_tags_become_long_form() {
        let text = "
a: !Ref X
b: !GetAtt Nested.Outputs.Arn
c: !Sub '${X}-y'
d: !If [Prod, !Ref A, !Ref 'AWS::NoValue']
e: {Fn::Join: [',', [!Ref A, b]]}
";
        let expected = json!({
            "a": {"Ref": "X"},
            "b": {"Fn::GetAtt": ["Nested", "Outputs.Arn"]},
            "c": {"Fn::Sub": "${X}-y"},
            "d": {"Fn::If": ["Prod", {"Ref": "A"}, {"Ref": "AWS::NoValue"}]},
            "e": {"Fn::Join": [",", [{"Ref": "A"}, "b"]]},
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_template_that_nests_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template.yaml");
        let text =
            "Resources: {A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: template.yaml}}}";
        std::fs::write(&path, text).unwrap();
        assert!(matches!(load(&path, "s"), Err(TemplateError::Shape { .. })));
    }
}
