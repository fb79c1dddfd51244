//! Invitations: for one person, once, in time, and only while who made them may invite.

use futures::future::join_all;
use serde_json::json;

use super::{accept, address, at, invite, join, person, roles, workspace};
use crate::support::{App, Operator, run, stack};

#[test]
fn an_invitation_is_good_once_in_time_and_for_the_invited_only() {
    run(async {
        let (ann, bob, eve) = (person("ann").await, person("bob").await, person("eve").await);
        let nobody = App::person(stack(), None).await;
        let id = workspace(&ann).await;
        let email = address(&bob).await;
        let made = invite(&ann, &id, &email.to_uppercase(), "member").await.expect(201);
        let token = made["token"].as_str().unwrap();
        invite(&ann, &id, &email, "owner").await.problem(409, "wrong-state");
        for other in [&eve, &nobody, &ann] {
            accept(other, token).await.problem(403, "forbidden");
        }
        let last = if token.ends_with('0') { '1' } else { '0' };
        let forged = format!("{}{last}", &token[..token.len() - 1]);
        for wrong in [&forged, "", "pwi_", &token[..40], &"x".repeat(8000)] {
            accept(&bob, wrong).await.problem(404, "not-found");
        }
        let joined = accept(&bob, token).await.expect(200);
        assert_eq!(
            (&joined["id"], &joined["role"], &joined["members"]),
            (&json!(id), &json!("member"), &json!(2))
        );
        // Again, by the same and after they have left.
        accept(&bob, token).await.problem(409, "wrong-state");
        assert_eq!(bob.delete(&at(&id, &format!("/members/{}", bob.user))).await.status, 204);
        accept(&bob, token).await.problem(409, "wrong-state");
        bob.get(&at(&id, "")).await.problem(404, "not-found");

        // Too late, or taken back; and then anew.
        let made = invite(&ann, &id, &email, "member").await.expect(201);
        Operator::of(stack()).let_the_invitation_end(&id, made["id"].as_str().unwrap()).await;
        accept(&bob, made["token"].as_str().unwrap()).await.problem(410, "gone");
        let made = invite(&ann, &id, &email, "member").await.expect(201);
        let one = at(&id, &format!("/invitations/{}", made["id"].as_str().unwrap()));
        for _ in 0..2 {
            assert_eq!(ann.delete(&one).await.status, 204, "again changes nothing");
        }
        accept(&bob, made["token"].as_str().unwrap()).await.problem(410, "gone");
        join(&ann, &id, &bob, "owner").await;
        assert_eq!(roles(&bob, &id).await[&bob.user.to_string()], "owner");
        // A member is not invited once more.
        let made = invite(&ann, &id, &email, "member").await.expect(201);
        accept(&bob, made["token"].as_str().unwrap()).await.problem(409, "wrong-state");
        let states: Vec<_> =
            ann.all(&at(&id, "/invitations"), 1).await.iter().map(|i| i["state"].clone()).collect();
        assert_eq!(states, ["open", "accepted", "revoked", "open", "accepted"], "newest first");
        let accepted = ann.all(&at(&id, "/invitations"), 200).await[4]["id"].as_str().unwrap().to_owned();
        ann.delete(&at(&id, &format!("/invitations/{accepted}"))).await.problem(409, "wrong-state");
    });
}

#[test]
fn an_address_that_looks_like_the_invited_one_does_not_get_in() {
    run(async {
        let ann = person("ann").await;
        let id = workspace(&ann).await;
        let unique = piecework_core::EventId::new();
        let invited = format!("kate.{unique}@example.com");
        let made = invite(&ann, &id, &invited, "owner").await.expect(201);
        for alike in [
            format!("\u{212a}ate.{unique}@example.com"), // KELVIN SIGN, whose lower case is k
            format!("k\u{430}te.{unique}@example.com"),  // CYRILLIC SMALL LETTER A
            format!("\u{ff4b}ate.{unique}@example.com"), // FULLWIDTH SMALL LETTER K
            format!("kate.{unique}@ex\u{430}mple.com"),
            format!("kate.{unique}@example.com.invalid.example"),
            format!("kate.{unique}+x@example.com"),
        ] {
            let eve = App::person(stack(), Some(&alike)).await;
            accept(&eve, made["token"].as_str().unwrap()).await.problem(403, "forbidden");
        }
        for wrong in
            ["kate", "k\u{200b}ate@example.com", "a@b@c", "\u{202e}kate@example.com", "kate@example.com\nx"]
        {
            let problem = invite(&ann, &id, wrong, "member").await.problem(400, "invalid-body");
            assert_eq!(problem["errors"][0]["pointer"], "#/email", "{problem}");
        }
        let kate = App::person(stack(), Some(&format!("Kate.{unique}@EXAMPLE.com"))).await;
        accept(&kate, made["token"].as_str().unwrap()).await.expect(200);
    });
}

#[test]
fn of_many_who_accept_at_once_one_comes_in() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let id = workspace(&ann).await;
        let made = invite(&ann, &id, &address(&bob).await, "member").await.expect(201);
        let token = made["token"].as_str().unwrap();
        let answers = join_all((0..8).map(|_| accept(&bob, token))).await;
        assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|a| [200, 409].contains(&a.status)), "{answers:?}");
        assert_eq!(ann.get(&at(&id, "")).await.expect(200)["members"], 2);
    });
}

#[test]
fn an_invitation_ends_with_the_right_of_whoever_made_it() {
    run(async {
        let (ann, eve, bob) = (person("ann").await, person("eve").await, person("bob").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &eve, "owner").await;
        let email = address(&bob).await;
        let eves = at(&id, &format!("/members/{}", eve.user));
        let back_door = invite(&eve, &id, &email, "owner").await.expect(201);
        let token = back_door["token"].as_str().unwrap();
        assert_eq!(ann.patch(&eves, &json!({ "role": "member" })).await.status, 204);
        accept(&bob, token).await.problem(410, "gone");
        assert_eq!(ann.delete(&eves).await.status, 204);
        accept(&bob, token).await.problem(410, "gone");
        assert_eq!(roles(&ann, &id).await.len(), 1);
        // It is still there to be taken back, and the address can be invited anew.
        let one = at(&id, &format!("/invitations/{}", back_door["id"].as_str().unwrap()));
        assert_eq!(ann.delete(&one).await.status, 204);
        join(&ann, &id, &bob, "member").await;
        assert_eq!(roles(&ann, &id).await[&bob.user.to_string()], "member");
    });
}
