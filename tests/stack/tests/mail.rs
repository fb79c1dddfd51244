//! Invitations go by mail where mail leaves: to the invited, once, and never in the request (P8).

use std::time::Duration;

use local::Stack;
use local_gate::{Fault, Rule};
use serde_json::{Value, json};

use crate::{
    chaos::outcome::settled,
    support::{App, run, start, until},
};

/// Somebody with a workspace to invite into; its path.
async fn host(stack: &Stack) -> (App, String) {
    let app = App::person(stack, Some("ada@example.com")).await;
    let made = app.post("/v1/workspaces", &json!({ "name": "Marketing" })).await.expect(201);
    (app, format!("/v1/workspaces/{}/invitations", made["id"].as_str().unwrap()))
}

async fn invited(app: &App, path: &str, email: &str) -> Value {
    app.post(path, &json!({ "email": email, "role": "member" })).await.expect(201)
}

/// The mails to an address.
fn mails(stack: &Stack, to: &str) -> Vec<String> {
    let mails = stack.mails().unwrap();
    mails.into_iter().filter(|mail| mail.contains(&format!("\r\nTo: {to}\r\n"))).collect()
}

#[test]
fn an_invitation_goes_by_mail_with_the_token_that_the_inviter_sees() {
    run(async {
        let stack = start(|options| options.visibility_cap = Some(Duration::from_secs(1))).await;
        let (app, path) = host(&stack).await;
        // SES fails at first, and then the table; the message comes again, and makes one mail.
        let failing =
            Rule { function: "account-send-invitation".to_owned(), nth: 2, times: 2, fault: Fault::Fail };
        let trigger = stack.gate().arm(failing);
        let made = invited(&app, &path, "bob@example.com").await;
        let token = made["token"].as_str().unwrap();
        until("the mail", || async { (mails(&stack, "bob@example.com").len() == 1).then_some(()) }).await;
        settled(&app).await;
        assert!(trigger.hit());
        let mail = mails(&stack, "bob@example.com").remove(0);
        let (head, text) = mail.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("From: no-reply@piecework.example\r\n"), "{head}");
        assert!(head.contains("Subject: An invitation to the workspace \"Marketing\"\r\n"), "{head}");
        assert!(text.contains("Test Person (ada@example.com) invites you") && text.contains(token), "{text}");
        let bob = App::person(&stack, Some("bob@example.com")).await;
        bob.post("/v1/invitations/accept", &json!({ "token": token })).await.expect(200);

        // A look-alike is shown as what it is: the a in this domain is a Cyrillic one.
        invited(&app, &path, "eve@ex\u{430}mple.com").await;
        let address = "eve@xn--exmple-4nf.com";
        until("the mail", || async { (mails(&stack, address).len() == 1).then_some(()) }).await;
        let mail = mails(&stack, address).remove(0);
        assert!(mail.contains(&format!("The invitation is for {address}, and for nobody else.")), "{mail}");
        assert!(mail.is_ascii(), "{mail}");

        // One taken back before its mail has left has none; nor one whose local part SES cannot take.
        let before = stack.mails().unwrap().len();
        let slow = Rule {
            function: "account-send-invitation".to_owned(),
            nth: 1,
            times: 1,
            fault: Fault::Delay(Duration::from_secs(2)),
        };
        stack.gate().disarm();
        let trigger = stack.gate().arm(slow);
        let made = invited(&app, &path, "cyd@example.com").await;
        until("the delay", || async { trigger.hit().then_some(()) }).await;
        assert_eq!(app.delete(&format!("{path}/{}", made["id"].as_str().unwrap())).await.status, 204);
        invited(&app, &path, "\u{430}da@example.com").await;
        settled(&app).await;
        assert_eq!(stack.mails().unwrap().len(), before);
        stack.stop().await;
    });
}

#[test]
fn no_mail_leaves_without_the_setting() {
    run(async {
        let stack = start(|options| {
            options.env.insert("MAIL".to_owned(), String::new());
        })
        .await;
        let (app, path) = host(&stack).await;
        assert!(invited(&app, &path, "bob@example.com").await["token"].is_string());
        settled(&app).await;
        assert_eq!(stack.mails().unwrap(), Vec::<String>::new());
        assert!(!stack.gate().calls().iter().any(|call| call.function == "account-send-invitation"));
        stack.stop().await;
    });
}
