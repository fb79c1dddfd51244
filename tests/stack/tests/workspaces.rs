//! Workspaces: who belongs to them, what they may do, and how they come and go (P8).

use std::collections::BTreeMap;

use account::{NewKey, PERMISSIONS, Role, Scope};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Operator, run, stack};

mod invitations;

const SHARED: &[Scope] = &[Scope::Verify, Scope::Read, Scope::Credits];

/// Somebody with a verified address of their own.
async fn person(name: &str) -> App {
    let address = format!("{name}.{}@example.com", piecework_core::EventId::new());
    App::person(stack(), Some(&address)).await
}

async fn workspace(app: &App) -> String {
    let made = app.post("/v1/workspaces", &json!({ "name": "Team" })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn at(workspace: &str, rest: &str) -> String {
    format!("/v1/workspaces/{workspace}{rest}")
}

/// The address that the person signs in with.
async fn address(app: &App) -> String {
    let profile =
        Operator::of(stack()).item("AccountTable", &format!("USER#{}", app.user), "PROFILE").await.unwrap();
    profile["email"].as_s().unwrap().clone()
}

async fn invite(app: &App, workspace: &str, email: &str, role: &str) -> Answer {
    let body = json!({ "email": email, "role": role });
    app.post(&at(workspace, "/invitations"), &body).await
}

async fn accept(app: &App, token: &str) -> Answer {
    app.post("/v1/invitations/accept", &json!({ "token": token })).await
}

/// The person comes into the workspace.
async fn join(owner: &App, workspace: &str, person: &App, role: &str) {
    let made = invite(owner, workspace, &address(person).await, role).await.expect(201);
    accept(person, made["token"].as_str().unwrap()).await.expect(200);
}

async fn roles(app: &App, workspace: &str) -> BTreeMap<String, String> {
    let members = app.all(&at(workspace, "/members"), 2).await;
    members
        .iter()
        .map(|m| (m["user"].as_str().unwrap().to_owned(), m["role"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn a_workspace_lives_from_its_making_to_its_end() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let answer = ann.post("/v1/workspaces", &json!({ "name": "  Team  " })).await;
        let made = answer.expect(201);
        let id = made["id"].as_str().unwrap();
        assert_eq!(answer.header("location"), Some(at(id, "").as_str()));
        assert_eq!(
            (&made["name"], &made["role"], &made["personal"]),
            (&json!("Team"), &json!("owner"), &json!(false))
        );
        assert_eq!(ann.get(&at(id, "")).await.expect(200), made);

        let listed = ann.all("/v1/workspaces", 1).await;
        let personal: Vec<_> = listed.iter().map(|w| w["personal"].as_bool().unwrap()).collect();
        assert_eq!(personal, [true, false], "a personal one, and this");
        assert_eq!(listed[1], made);

        let renamed = ann.patch(&at(id, ""), &json!({ "name": "Crew" })).await.expect(200);
        assert_eq!(renamed["name"], "Crew");
        join(&ann, id, &bob, "member").await;
        let seen = bob.get(&at(id, "")).await.expect(200);
        assert_eq!(
            (&seen["name"], &seen["role"], &seen["members"]),
            (&json!("Crew"), &json!("member"), &json!(2))
        );
        let members = ann.all(&at(id, "/members"), 200).await;
        assert!(members.iter().all(|m| m["name"] == "Test Person"), "{members:?}");
        assert_eq!(
            roles(&bob, id).await,
            BTreeMap::from([
                (ann.user.to_string(), "owner".to_owned()),
                (bob.user.to_string(), "member".to_owned()),
            ])
        );

        let inside = bob.inside(stack(), id, SHARED).await;
        inside.get("/v1/verification/tasks").await.expect(200);
        assert_eq!(ann.delete(&at(id, "")).await.status, 204);
        inside.get("/v1/verification/tasks").await.problem(401, "unauthenticated");
        for app in [&ann, &bob] {
            app.get(&at(id, "")).await.problem(404, "not-found");
            assert_eq!(app.all("/v1/workspaces", 200).await.len(), 1, "the personal one");
        }
        ann.delete(&at(id, "")).await.problem(404, "not-found");
        invite(&ann, id, "cyd@example.com", "member").await.problem(404, "not-found");
    });
}

#[test]
fn the_timeline_tells_what_happened_and_names_no_address() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "member").await;
        let member = at(&id, &format!("/members/{}", bob.user));
        assert_eq!(ann.patch(&member, &json!({ "role": "owner" })).await.status, 204);
        assert_eq!(bob.delete(&member).await.status, 204);
        let events = ann.all(&at(&id, "/events"), 2).await;
        let kinds: Vec<_> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "account.workspace.created",
                "account.invitation.created",
                "account.member.joined",
                "account.member.role-changed",
                "account.member.left",
            ]
        );
        assert_eq!(events[4]["actor"], bob.user.to_string());
        assert!(!json!(events).to_string().contains("@"), "{events:?}");
    });
}

/// What each route of a workspace needs, by a body that would do.
fn routes(member: &str, invitation: &str) -> Vec<(&'static str, Method, String, Value)> {
    let (see, manage) = ("CanSeeWorkspaces", "CanManageMembers");
    let null = Value::Null;
    vec![
        (see, Method::GET, String::new(), null.clone()),
        (see, Method::GET, "/members".into(), null.clone()),
        (see, Method::GET, "/events".into(), null.clone()),
        ("CanInvite", Method::GET, "/invitations".into(), null.clone()),
        (
            "CanInvite",
            Method::POST,
            "/invitations".into(),
            json!({ "email": "x@example.com", "role": "member" }),
        ),
        ("CanInvite", Method::DELETE, format!("/invitations/{invitation}"), null.clone()),
        ("CanRenameWorkspace", Method::PATCH, String::new(), json!({ "name": "Other" })),
        (manage, Method::PATCH, format!("/members/{member}"), json!({ "role": "member" })),
        (manage, Method::DELETE, format!("/members/{member}"), null.clone()),
        (manage, Method::POST, "/transfer".into(), json!({ "to": member })),
        ("CanDeleteWorkspace", Method::DELETE, String::new(), null),
    ]
}

#[test]
fn each_route_is_for_the_roles_of_the_table_and_a_stranger_finds_nothing() {
    run(async {
        let (ann, bob, eve) = (person("ann").await, person("bob").await, person("eve").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "member").await;
        let invitation = invite(&ann, &id, "dan@example.com", "member").await.expect(201);
        let all = routes(&ann.user.to_string(), invitation["id"].as_str().unwrap());
        let before = (roles(&ann, &id).await, ann.get(&at(&id, "")).await.expect(200));
        let mut tried = std::collections::BTreeSet::new();
        for (permission, method, rest, body) in &all {
            let row = PERMISSIONS.iter().find(|p| p.name == *permission).unwrap();
            tried.insert(row.name);
            let ask = async |app: &App, path: &str| {
                let request = app.request(method.clone(), path);
                app.send(if body.is_null() { request } else { request.json(body) }).await
            };
            ask(&eve, &at(&id, rest)).await.problem(404, "not-found");
            let nobodys = "wsp_01j9z3k5m8n2p4q6r7s8t9v0wx";
            ask(&ann, &at(nobodys, rest)).await.problem(404, "not-found");
            let answer = ask(&bob, &at(&id, rest)).await;
            match row.roles.contains(&Role::Member) {
                true => assert!(answer.status < 300, "{method} {rest}: {answer:?}"),
                false => drop(answer.problem(403, "forbidden")),
            }
        }
        assert_eq!((roles(&ann, &id).await, ann.get(&at(&id, "")).await.expect(200)), before);
        let of_workspaces = PERMISSIONS.iter().filter(|p| p.scope == Scope::Workspaces);
        assert_eq!(tried, of_workspaces.map(|p| p.name).collect(), "every permission of the table was tried");
    });
}

#[test]
fn a_personal_workspace_is_not_shared_and_not_deleted() {
    run(async {
        let ann = person("ann").await;
        let own = ann.workspace.to_string();
        ann.delete(&at(&own, "")).await.problem(409, "wrong-state");
        invite(&ann, &own, "bob@example.com", "member").await.problem(409, "wrong-state");
        ann.delete(&at(&own, &format!("/members/{}", ann.user))).await.problem(409, "wrong-state");
        assert_eq!(ann.patch(&at(&own, ""), &json!({ "name": "Mine" })).await.expect(200)["name"], "Mine");
    });
}

#[test]
fn a_name_is_one_to_a_hundred_characters() {
    run(async {
        let ann = person("ann").await;
        for name in ["", "   ", "a\u{7}b", &"n".repeat(101)] {
            let problem =
                ann.post("/v1/workspaces", &json!({ "name": name })).await.problem(400, "invalid-body");
            assert_eq!(problem["errors"][0]["pointer"], "#/name", "{problem}");
            ann.patch(&at(&ann.workspace.to_string(), ""), &json!({ "name": name }))
                .await
                .problem(400, "invalid-body");
        }
        assert_eq!(ann.all("/v1/workspaces", 200).await.len(), 1);
    });
}

#[test]
fn a_repeat_makes_one_workspace_and_one_invitation_with_the_same_token() {
    run(async {
        let ann = person("ann").await;
        let body = json!({ "name": "Once" });
        let made = join_all((0..8).map(|_| ann.post_once("/v1/workspaces", "make-it-once", &body))).await;
        let first = made[0].expect(201);
        assert!(made.iter().all(|answer| answer.expect(201) == first));
        assert_eq!(ann.all("/v1/workspaces", 200).await.len(), 2);
        ann.post_once("/v1/workspaces", "make-it-once", &json!({ "name": "Twice" }))
            .await
            .problem(422, "idempotency-key-reused");

        let path = at(first["id"].as_str().unwrap(), "/invitations");
        let body = json!({ "email": "bob@example.com", "role": "member" });
        let made = join_all((0..8).map(|_| ann.post_once(&path, "invite-him-once", &body))).await;
        let first = made[0].expect(201);
        assert!(made.iter().all(|answer| answer.expect(201) == first));
        let listed = ann.all(&path, 200).await;
        assert_eq!(listed.len(), 1);
        assert!(!listed[0].as_object().unwrap().contains_key("token"));
        let token = first["token"].as_str().unwrap();
        let kept = Operator::of(stack()).dump("AccountTable").await;
        assert!(!kept.contains(token) && !kept.contains(&token[56..]), "the token is kept nowhere");
    });
}

#[test]
fn the_last_owner_cannot_leave_be_removed_or_be_demoted() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "member").await;
        let anns = at(&id, &format!("/members/{}", ann.user));
        let bobs = at(&id, &format!("/members/{}", bob.user));
        ann.delete(&anns).await.problem(409, "wrong-state");
        ann.patch(&anns, &json!({ "role": "member" })).await.problem(409, "wrong-state");
        assert_eq!(ann.patch(&anns, &json!({ "role": "owner" })).await.status, 204, "as they are");
        ann.patch(&at(&id, "/members/usr_01j9z3k5m8n2p4q6r7s8t9v0wx"), &json!({ "role": "owner" }))
            .await
            .problem(404, "not-found");
        assert_eq!(ann.patch(&bobs, &json!({ "role": "owner" })).await.status, 204);
        assert_eq!(bob.delete(&anns).await.status, 204, "of two, one can go");
        bob.delete(&bobs).await.problem(409, "wrong-state");
        assert_eq!(roles(&bob, &id).await, BTreeMap::from([(bob.user.to_string(), "owner".to_owned())]));
    });
}

#[test]
fn owners_who_go_at_the_same_time_leave_one() {
    run(async {
        for round in 0..6 {
            let people = join_all((0..4).map(|_| person("owner"))).await;
            let id = workspace(&people[0]).await;
            for other in &people[1..] {
                join(&people[0], &id, other, "owner").await;
            }
            // All leave, or all demote the next; whatever the order, one stays an owner.
            let moves = people.iter().enumerate().map(|(n, app)| {
                let (own, next) = (app.user, people[(n + 1) % 4].user);
                let id = &id;
                async move {
                    match round % 2 {
                        0 => app.delete(&at(id, &format!("/members/{own}"))).await,
                        _ => {
                            app.patch(&at(id, &format!("/members/{next}")), &json!({ "role": "member" }))
                                .await
                        }
                    }
                }
            });
            let answers = join_all(moves).await;
            assert!(answers.iter().all(|a| [204, 403, 409].contains(&a.status)), "{answers:?}");
            let mut left = None;
            for app in &people {
                if app.get(&at(&id, "")).await.status == 200 {
                    left = Some(roles(app, &id).await);
                }
            }
            let owners = left.unwrap().values().filter(|role| *role == "owner").count();
            assert!(owners >= 1, "{answers:?}");
            if round % 2 == 0 {
                assert_eq!(answers.iter().filter(|a| a.status == 204).count(), 3, "{answers:?}");
            }
            let meta =
                Operator::of(stack()).item("AccountTable", &format!("WSP#{id}"), "META").await.unwrap();
            assert_eq!(meta["owners"].as_n().unwrap(), &owners.to_string(), "the count is true");
        }
    });
}

#[test]
fn who_is_removed_or_demoted_loses_the_keys_that_go_with_it() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "owner").await;
        let everyday = bob.inside(stack(), &id, SHARED).await;
        let keeper = bob.inside(stack(), &id, &[Scope::Keys, Scope::Read]).await;
        keeper.get("/v1/api-keys").await.expect(200);
        let bobs = at(&id, &format!("/members/{}", bob.user));
        assert_eq!(ann.patch(&bobs, &json!({ "role": "member" })).await.status, 204);
        keeper.get("/v1/verification/tasks").await.problem(401, "unauthenticated");
        everyday.get("/v1/verification/tasks").await.expect(200);
        let accounts = local::accounts::Accounts::of(stack()).unwrap();
        let more = NewKey { name: "more".to_owned(), scopes: vec![Scope::Keys], expires_at: None };
        let refused = accounts.account().create_key(bob.user, id.parse().unwrap(), more).await;
        assert!(matches!(refused, Err(account::Error::ScopeNotHeld)), "{refused:?}");

        // More keys than one transaction takes.
        let many = join_all((0..45).map(|_| bob.inside(stack(), &id, &[Scope::Read]))).await;
        let anns = ann.inside(stack(), &id, SHARED).await;
        assert_eq!(ann.delete(&bobs).await.status, 204);
        for key in many.iter().chain([&everyday]) {
            key.get("/v1/verification/tasks").await.problem(401, "unauthenticated");
        }
        anns.get("/v1/verification/tasks").await.expect(200);
        bob.get("/v1/account/credits").await.expect(200);
        let less = NewKey { name: "less".to_owned(), scopes: vec![Scope::Read], expires_at: None };
        let refused = accounts.account().create_key(bob.user, id.parse().unwrap(), less).await;
        assert!(matches!(refused, Err(account::Error::ScopeNotHeld)), "{refused:?}");
    });
}

#[test]
fn no_key_is_made_in_the_moment_of_leaving_that_outlives_it() {
    run(async {
        let ann = person("ann").await;
        let id = workspace(&ann).await;
        let accounts = local::accounts::Accounts::of(stack()).unwrap();
        for _ in 0..6 {
            let bob = person("bob").await;
            join(&ann, &id, &bob, "member").await;
            let make = || async {
                let new = NewKey { name: "late".to_owned(), scopes: vec![Scope::Read], expires_at: None };
                accounts.account().create_key(bob.user, id.parse().unwrap(), new).await
            };
            let leave = async { bob.delete(&at(&id, &format!("/members/{}", bob.user))).await };
            let (keys, left) = futures::join!(join_all((0..6).map(|_| make())), leave);
            assert_eq!(left.status, 204, "{left:?}");
            for key in keys.into_iter().flatten() {
                bob.holding(&key.token).get("/v1/verification/tasks").await.problem(401, "unauthenticated");
            }
        }
    });
}

#[test]
fn the_ownership_goes_to_another_member() {
    run(async {
        let (ann, bob, eve) = (person("ann").await, person("bob").await, person("eve").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "member").await;
        let keeper = ann.inside(stack(), &id, &[Scope::Keys]).await;
        let transfer = at(&id, "/transfer");
        ann.post(&transfer, &json!({ "to": eve.user })).await.problem(404, "not-found");
        ann.post(&transfer, &json!({ "to": ann.user })).await.problem(400, "invalid-body");
        bob.post(&transfer, &json!({ "to": bob.user })).await.problem(403, "forbidden");
        assert_eq!(ann.post(&transfer, &json!({ "to": bob.user })).await.status, 204);
        assert_eq!(
            roles(&ann, &id).await,
            BTreeMap::from([
                (ann.user.to_string(), "member".to_owned()),
                (bob.user.to_string(), "owner".to_owned()),
            ])
        );
        keeper.get("/v1/api-keys").await.problem(401, "unauthenticated");
        ann.post(&transfer, &json!({ "to": bob.user })).await.problem(403, "forbidden");
    });
}

#[test]
fn the_same_idempotency_key_of_two_members_never_meets() {
    run(async {
        let (ann, bob) = (person("ann").await, person("bob").await);
        let id = workspace(&ann).await;
        join(&ann, &id, &bob, "member").await;
        // What is paid in goes into the payer's own wallet, whichever workspace it was asked for in.
        let (mut payments, body) = (Vec::new(), json!({ "amount": 10_000 }));
        for app in [ann.inside(stack(), &id, SHARED).await, bob.inside(stack(), &id, SHARED).await] {
            let start = || app.post_once("/v1/payments/payfast/initiate", "top-up-of-june", &body);
            let made = start().await.expect(201);
            assert_eq!(start().await.expect(201), made);
            payments.push(made);
        }
        assert_ne!(payments[0], payments[1]);
    });
}
