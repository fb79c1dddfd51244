//! Physical names and attributes of resources: what `!Ref` and `!GetAtt` give.

use serde_json::{Value, json};

use super::TemplateError;
use super::intrinsics::{Attributes, Resolver, scalar};
use super::model::{ResourceId, Site};
use super::read::{LEFT_OUT, with_globals};

/// Resolves at a site.
pub(super) struct Physical<'a> {
    pub site: &'a Site,
}

impl Physical<'_> {
    /// The name that the template gives or CloudFormation would generate.
    pub fn name(
        &self,
        resolver: &Resolver<'_>,
        stack: usize,
        logical: &str,
    ) -> Result<String, TemplateError> {
        let template = &resolver.stacks[stack];
        let resource = &template.section("Resources")[logical];
        let place = format!("{}/{logical}", template.name);
        let own = |key: &str| -> Result<Option<String>, TemplateError> {
            match resource["Properties"].get(key) {
                Some(value) => Ok(scalar(&resolver.resolve(stack, value)?)),
                None => Ok(None),
            }
        };
        let generated = || format!("{}-{logical}", template.name);
        Ok(match resource["Type"].as_str().unwrap_or_default() {
            "AWS::Serverless::Function" => {
                let properties = with_globals(template, &resource["Properties"]);
                let code = scalar(&resolver.resolve(stack, &properties["CodeUri"])?)
                    .ok_or_else(|| TemplateError::shape(place, "CodeUri is missing"))?;
                last(code.trim_end_matches('/'), '/')
            }
            "AWS::DynamoDB::Table" => own("TableName")?.unwrap_or_else(generated),
            "AWS::SQS::Queue" => match own("QueueName")? {
                Some(name) => name,
                None if own("FifoQueue")?.as_deref() == Some("true") => generated() + ".fifo",
                None => generated(),
            },
            "AWS::S3::Bucket" => match own("BucketName")? {
                Some(name) => name,
                None => generated().to_lowercase().chars().take(63).collect(),
            },
            "AWS::SecretsManager::Secret" | "AWS::SSM::Parameter" => own("Name")?.unwrap_or_else(generated),
            "AWS::KMS::Alias" => own("AliasName")?.unwrap_or_else(generated),
            "AWS::Logs::LogGroup" => own("LogGroupName")?.unwrap_or_else(generated),
            "AWS::IAM::Role" => own("RoleName")?.unwrap_or_else(generated),
            _ => generated(),
        })
    }
}

impl Attributes for Physical<'_> {
    fn attribute(
        &self,
        resolver: &Resolver<'_>,
        stack: usize,
        logical: &str,
        attribute: &str,
    ) -> Result<Option<Value>, TemplateError> {
        let template = &resolver.stacks[stack];
        let id = ResourceId { stack: template.name.clone(), logical: logical.to_owned() };
        let site = self.site;
        let Some(resource) = template.section("Resources").get(logical) else {
            // SAM makes a role for every function and names it so.
            let role = logical
                .strip_suffix("Role")
                .is_some_and(|f| template.section("Resources")[f]["Type"] == "AWS::Serverless::Function");
            let name = format!("{}-{logical}", template.name);
            return Ok(role.then(|| match attribute {
                "Arn" => site.arn("iam", &format!("role/{name}")).into(),
                _ => name.into(),
            }));
        };
        let name = self.name(resolver, stack, logical)?;
        let assigned = || site.assigned.get(&id).cloned().unwrap_or_else(|| format!("pending-{logical}"));
        let kind = resource["Type"].as_str().unwrap_or_default();
        let value = match (kind, attribute) {
            ("AWS::DynamoDB::Table", "Arn") => site.arn("dynamodb", &format!("table/{name}")),
            ("AWS::DynamoDB::Table", "StreamArn") => site.arn("dynamodb", &crate::stream_of(&name)),
            ("AWS::SQS::Queue", "" | "QueueUrl") => site.queue_url(&name),
            ("AWS::SQS::Queue", "QueueName") => name,
            ("AWS::SQS::Queue", "Arn") => site.arn("sqs", &name),
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{name}"),
            ("AWS::S3::Bucket", "DomainName" | "RegionalDomainName") => format!("{name}.s3.amazonaws.com"),
            ("AWS::Serverless::Function", "Arn") => site.arn("lambda", &format!("function:{name}")),
            ("AWS::KMS::Key", "" | "KeyId") => assigned(),
            ("AWS::KMS::Key", "Arn") => site.arn("kms", &format!("key/{}", assigned())),
            ("AWS::SecretsManager::Secret", "" | "Id") => assigned(),
            ("AWS::SSM::Parameter", "Value" | "Type") => {
                return resolver.resolve(stack, &resource["Properties"][attribute]).map(Some);
            }
            ("AWS::IAM::Role", "Arn") => site.arn("iam", &format!("role/{name}")),
            ("AWS::Logs::LogGroup", "Arn") => site.arn("logs", &format!("log-group:{name}:*")),
            ("AWS::SNS::Topic", "") => site.arn("sns", &name),
            ("AWS::ApiGatewayV2::Api", "") => "local".to_owned(),
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => site.api_endpoint.clone(),
            ("AWS::ApiGatewayV2::Api", "ApiId") => "local".to_owned(),
            ("AWS::ApiGatewayV2::Integration", "") => integration_id(&id),
            (_, "") => name,
            (kind, "Arn") if LEFT_OUT.contains(&kind) => site.arn("local", &name),
            _ => return Ok(None),
        };
        Ok(Some(json!(value)))
    }
}

/// An integration's id, unique over all stacks.
pub(super) fn integration_id(id: &ResourceId) -> String {
    format!("{}.{}", id.stack, id.logical)
}

/// What follows the last separator.
pub(super) fn last(text: &str, separator: char) -> String {
    text.rsplit(separator).next().unwrap_or(text).to_owned()
}
