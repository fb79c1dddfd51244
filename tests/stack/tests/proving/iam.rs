//! Functions may do what their templates say, need all of it, and are denied the rest as AWS would.

use std::{collections::BTreeMap, fs};

use account::Scope;
use local::{Stack, StackOptions};
use serde_json::json;

use super::tour::Tour;
use crate::{
    chaos::outcome::settled,
    support::{App, build, root, run, start},
};

#[test]
fn nothing_is_denied_and_every_grant_is_needed() {
    run(async {
        let stack = start(|_| {}).await;
        let tour = Tour::of(&stack, true).await;
        tour.first_sights().await;
        tour.odds_and_ends().await;
        assert_eq!(stack.gate().denied(), BTreeMap::new());
        assert_eq!(stack.gate().unused(), BTreeMap::new(), "granted and never used");
        stack.stop().await;
    });
}

/// The templates with a change, in a folder of their own.
fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("template.yaml"), folder.path().join("template.yaml")).unwrap();
    fs::create_dir(folder.path().join("infra")).unwrap();
    for entry in fs::read_dir(root().join("infra")).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".yaml") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = match name == file {
                true => {
                    assert_eq!(text.matches(from).count(), 1, "{file}: {from}");
                    text.replace(from, to)
                }
                false => text,
            };
            fs::write(folder.path().join("infra").join(name), text).unwrap();
        }
    }
    folder
}

async fn start_changed(folder: &tempfile::TempDir) -> Result<Stack, local::Error> {
    build();
    let mut options = StackOptions::new(folder.path());
    let binaries = local::functions::binary_folder(root(), options.profile);
    for entry in fs::read_dir(binaries).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
        options.binaries.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    Stack::start(options).await
}

#[test]
fn an_action_taken_out_of_a_policy_is_denied_and_named_and_nothing_is_lost() {
    run(async {
        // POST /v1/verification/tasks may no longer write to its own table.
        let create = "          VERIFY_BUCKET: !Ref VerifyBucket\n      Policies:\n        - Statement:\n            - { Effect: Allow, Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem], Resource: !Ref AccountTableArn }\n            - { Effect: Allow, Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:ConditionCheckItem], Resource: !GetAtt VerifyTable.Arn }\n            - { Effect: Allow, Action: [dynamodb:Query, dynamodb:PutItem, dynamodb:UpdateItem], Resource: !Ref BillingTableArn }\n            - { Effect: Allow, Action: [s3:PutObject], Resource: !Sub \"${VerifyBucket.Arn}/lists/*\" }";
        let without = create.replace(
            "dynamodb:GetItem, dynamodb:PutItem, dynamodb:ConditionCheckItem], Resource: !GetAtt VerifyTable",
            "dynamodb:GetItem, dynamodb:ConditionCheckItem], Resource: !GetAtt VerifyTable",
        );
        let folder = changed("verify.yaml", create, &without);
        let stack = start_changed(&folder).await.unwrap();
        let app = App::on(&stack, &[Scope::Verify, Scope::Read, Scope::Credits]).await;
        let before = app.belongings().await;
        let refused = app.post("/v1/verification/tasks", &json!({ "emails": ["ada@gmail.com"] })).await;
        refused.problem(500, "internal");
        let denied = stack.gate().denied();
        let asks: Vec<String> =
            denied["verify-create-task"].iter().map(|a| format!("{} {}", a.action, a.resource)).collect();
        assert_eq!(
            asks,
            ["dynamodb:PutItem arn:aws:dynamodb:us-east-1:000000000000:table/piecework-dev-verify"]
        );
        assert_eq!(denied.len(), 1, "{denied:?}");
        assert_eq!(app.belongings().await, before);
        settled(&app).await;
        stack.stop().await;
    });
}

#[test]
fn a_queue_is_not_polled_for_a_function_that_may_not_receive() {
    run(async {
        let split = "Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility], Resource: !GetAtt SplitQueue.Arn";
        let folder = changed("verify.yaml", split, &split.replace("sqs:ReceiveMessage, ", ""));
        let error =
            start_changed(&folder).await.err().expect("a stack that AWS would not deploy").to_string();
        assert!(error.contains("verify-split-list") && error.contains("sqs:ReceiveMessage"), "{error}");
    });
}
