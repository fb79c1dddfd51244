//! What is switched off answers as if it were not there (P20).

use reqwest::Method;
use serde_json::Value;

use crate::support::{Answer, App, run, stack, start};

async fn ask(app: &App, path: &str) -> Answer {
    app.send(app.anonymous(Method::GET, path)).await
}

/// A problem without what differs between any two requests.
fn same(answer: &Answer) -> Value {
    let mut problem = answer.problem(404, "not-found");
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

#[test]
fn the_thin_slice_is_there_while_its_flag_is_on_and_absent_while_it_is_off() {
    run(async {
        let on = App::new().await;
        let answer = ask(&on, "/v1/thin/health").await.expect(200);
        assert_eq!(answer["status"], "ok", "{answer}");
        assert_eq!(answer["version"], on.get("/v1/health").await.expect(200)["version"]);
        for other in ["", "ai", "ai,of-another-branch"] {
            let off = start(|options| {
                options.env.insert("FEATURES".to_owned(), other.to_owned());
            })
            .await;
            let app = App::on(&off, &[]).await;
            let absent = ask(&app, "/v1/thin/health").await;
            assert_eq!(same(&absent), same(&ask(&app, "/v1/nothing").await), "with {other:?}");
            app.get("/v1/thin/health").await.problem(404, "not-found");
            assert_eq!(app.get("/v1/health").await.status, 200, "what has no flag goes on");
            off.stop().await;
        }
        assert_eq!(ask(&App::on(stack(), &[]).await, "/v1/thin/health").await.status, 200);
    });
}
