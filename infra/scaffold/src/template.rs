//! The blocks of a function in its area's template. The template stays text: its comments and layout are for people.

use crate::{Error, Request, Trigger};

/// An area's template.
pub(crate) struct Area {
    text: String,
}

impl Area {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Whether functions of the area can ask who calls.
    pub(crate) fn authenticates(&self) -> bool {
        self.has("AccountTable")
    }

    /// A parameter or resource of that name.
    fn has(&self, name: &str) -> bool {
        self.text
            .lines()
            .any(|line| line.strip_prefix("  ").is_some_and(|l| l.split(':').next() == Some(name)))
    }

    /// Whether every function of the area has the variable.
    fn shares(&self, variable: &str) -> bool {
        let globals = self.text.split("\nResources:\n").next().unwrap_or_default();
        globals.lines().any(|line| line.trim_start().starts_with(&format!("{variable}:")))
    }

    /// The template with the function in it.
    pub(crate) fn with(&self, request: &Request, next: &mut Vec<String>) -> Result<String, Error> {
        let logical = request.logical();
        if self.has(&logical) {
            return Err(Error::Exists(format!("{logical} in infra/{}.yaml", request.area)));
        }
        let block = match &request.trigger {
            Trigger::Route { method, path } => {
                if self.text.contains(&format!("RouteKey: \"{method} {path}\"")) {
                    return Err(Error::Exists(format!("{method} {path}")));
                }
                self.endpoint(request, method, path)
            }
            Trigger::Queue(queue) => {
                if self.has(&format!("{queue}Queue")) {
                    return Err(Error::Exists(format!("{queue}Queue")));
                }
                processor(request, queue)
            }
        };
        let (resources, outputs) = match self.text.split_once("\nOutputs:\n") {
            Some((resources, outputs)) => (resources, Some(outputs.to_owned())),
            None => (self.text.as_str(), None),
        };
        let mut text = format!("{}\n\n{block}", resources.trim_end());
        if let Some(mut outputs) = outputs {
            if let Trigger::Queue(queue) = &request.trigger {
                outputs = announced(outputs, queue);
            }
            text.push_str(&format!("\nOutputs:\n{outputs}"));
        }
        if let Trigger::Queue(queue) = &request.trigger {
            if !self.has("AlarmTopic") {
                next.push(format!("pass AlarmTopic to infra/{}.yaml, as for verify", request.area));
            }
            if !text.contains(&format!("-dead\":\"${{{queue}DeadLetters}}\"")) {
                next.push(format!("show {queue}Queue and {queue}DeadLetters in GET /v1/health: output them to infra/ops.yaml, as verify does"));
            }
        }
        Ok(text)
    }

    fn endpoint(&self, request: &Request, method: &str, path: &str) -> String {
        let (logical, package) = (request.logical(), request.package());
        let mut variables = Vec::new();
        let mut policies = String::new();
        if self.authenticates() {
            let own = self.text.contains("  AccountTable:\n    Type: AWS::DynamoDB::Table");
            let table = if own { "!GetAtt AccountTable.Arn" } else { "!Ref AccountTableArn" };
            variables.extend((!self.shares("ACCOUNT_TABLE")).then_some("ACCOUNT_TABLE: !Ref AccountTable"));
            let own = self.text.contains("  BillingTable:\n    Type: AWS::DynamoDB::Table");
            let credits = if own { "!GetAtt BillingTable.Arn" } else { "!Ref BillingTableArn" };
            variables.extend((!self.shares("BILLING_TABLE")).then_some("BILLING_TABLE: !Ref BillingTable"));
            let secret = "SUPABASE_JWT_SECRET: !Ref SupabaseJwtSecret";
            variables.extend((!self.shares("SUPABASE_JWT_SECRET")).then_some(secret));
            // Who calls, and, at first sight of a user, what makes them one.
            policies = format!(
                "      Policies:\n        - Statement:\n            - {{ Effect: Allow, Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem], Resource: {table} }}\n            - {{ Effect: Allow, Action: [dynamodb:PutItem, dynamodb:UpdateItem], Resource: {credits} }}\n"
            );
        }
        variables.extend((!self.shares("CURSOR_KEY")).then_some("CURSOR_KEY: !Ref CursorKey"));
        let environment = match variables.as_slice() {
            [] => String::new(),
            all => format!("      Environment: {{ Variables: {{ {} }} }}\n", all.join(", ")),
        };
        let segments = path.split('/').map(|s| if s.starts_with('{') { "*" } else { s });
        let source = segments.collect::<Vec<_>>().join("/");
        format!(
            r#"  # {method} {path}
  {logical}:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/{package}
      LoggingConfig: {{ LogGroup: !Ref {logical}Log }}
{environment}{policies}{log}  {logical}Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {{ ApiId: !Ref ApiId, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt {logical}.Arn, PayloadFormatVersion: "2.0" }}
  {logical}Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{ ApiId: !Ref ApiId, RouteKey: "{method} {path}", Target: !Sub "integrations/${{{logical}Integration}}" }}
  {logical}Permission:
    Type: AWS::Lambda::Permission
    Properties:
      {{ Action: lambda:InvokeFunction, FunctionName: !Ref {logical}, Principal: apigateway.amazonaws.com, SourceArn: !Sub "${{ApiArn}}/*/{method}{source}" }}
"#,
            log = log(&logical, &package),
        )
    }
}

fn log(logical: &str, package: &str) -> String {
    format!(
        r#"  {logical}Log:
    Type: AWS::Logs::LogGroup
    Properties: {{ LogGroupName: !Sub "/piecework/${{Environment}}/{package}", RetentionInDays: !Ref LogRetentionDays }}
"#
    )
}

fn alarm(name: &str, text: &str, metric: &str, dimension: &str, statistic: &str) -> String {
    format!(
        r#"  {name}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: {text}
{metric}
      Dimensions: [{{ {dimension} }}]
      Statistic: {statistic}
      Period: 60
      EvaluationPeriods: 1
      Threshold: 0
      ComparisonOperator: GreaterThanThreshold
      TreatMissingData: notBreaching
      AlarmActions: [!Ref AlarmTopic]
"#
    )
}

fn processor(request: &Request, queue: &str) -> String {
    let (area, logical, package, slug) =
        (&request.area, request.logical(), request.package(), queue.to_lowercase());
    let waiting = alarm(
        &format!("{queue}DeadLettersAlarm"),
        &format!("Messages of {area}-{slug} could not be dealt with; see docs/operations.md"),
        "      Namespace: AWS/SQS\n      MetricName: ApproximateNumberOfMessagesVisible",
        &format!("Name: QueueName, Value: !GetAtt {queue}DeadLetters.QueueName"),
        "Maximum",
    );
    let errors = alarm(
        &format!("{logical}Errors"),
        &format!("{package} fails"),
        "      Namespace: AWS/Lambda\n      MetricName: Errors",
        &format!("Name: FunctionName, Value: !Ref {logical}"),
        "Sum",
    );
    format!(
        r#"  {queue}Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "piecework-${{Environment}}-{area}-{slug}"
      VisibilityTimeout: 180 # six times the function's timeout
      SqsManagedSseEnabled: true
      RedrivePolicy: {{ deadLetterTargetArn: !GetAtt {queue}DeadLetters.Arn, maxReceiveCount: 5 }}
  {queue}DeadLetters:
    Type: AWS::SQS::Queue
    Properties: {{ QueueName: !Sub "piecework-${{Environment}}-{area}-{slug}-dead", MessageRetentionPeriod: 1209600, SqsManagedSseEnabled: true }}
{waiting}
  # {queue}Queue
  {logical}:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/{package}
      Timeout: 30
      LoggingConfig: {{ LogGroup: !Ref {logical}Log }}
      Environment: {{ Variables: {{ QUEUE_URL: !Ref {queue}Queue, DEAD_LETTER_URL: !Ref {queue}DeadLetters }} }}
      Policies:
        - Statement:
            - {{ Effect: Allow, Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility], Resource: !GetAtt {queue}Queue.Arn }}
            - {{ Effect: Allow, Action: [sqs:SendMessage], Resource: !GetAtt {queue}DeadLetters.Arn }}
{log}  {logical}Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt {queue}Queue.Arn
      FunctionName: !Ref {logical}
      BatchSize: 10
      FunctionResponseTypes: [ReportBatchItemFailures]
{errors}"#,
        log = log(&logical, &package),
    )
}

/// The outputs with the queue added to those that the health page shows, where the area has such outputs.
fn announced(outputs: String, queue: &str) -> String {
    let slug = queue.to_lowercase();
    let lines = [
        (
            "  Queues:\n",
            format!("      \"{slug}\":\"${{{queue}Queue}}\",\"{slug}-dead\":\"${{{queue}DeadLetters}}\",\n"),
        ),
        ("  QueueArns:\n", format!("      ${{{queue}Queue.Arn}},${{{queue}DeadLetters.Arn}},\n")),
    ];
    lines.into_iter().fold(outputs, |text, (output, line)| {
        let mark = format!("{output}    Value: !Sub >-\n");
        text.replacen(&mark, &format!("{mark}{line}"), 1)
    })
}
