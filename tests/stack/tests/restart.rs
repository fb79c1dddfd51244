//! Data outlives the stack: a clean restart, and a kill of the whole program in the middle of a task.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use account::Scope;
use local::{DataDir, StackFile};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::support::{App, Operator, build, root, run, start, until};

const TASKS: &str = "/v1/verification/tasks";
const SCOPES: &[Scope] = &[Scope::Verify, Scope::Read, Scope::Credits];
/// The program looks whether its functions are built before it starts, and may wait for another build to end.
const BUILD: Duration = Duration::from_secs(600);

#[test]
fn what_was_there_before_a_restart_is_there_after_it() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::Path(folder.path().join("data"));
        let first = start(|options| options.data = data.clone()).await;
        let app = App::on(&first, SCOPES).await;
        let made = app.post_once(TASKS, "before-the-restart", &json!({ "emails": ["ada@gmail.com"] })).await;
        let id = made.expect(202)["id"].as_str().unwrap().to_owned();
        let task = app.finished(&id).await;
        let link = app.link(&json!({ "file_name": "a.csv", "size": 20 })).await;
        let (before, csv) = (app.belongings().await, app.download(&id).await);
        first.stop().await;

        let second = start(|options| options.data = data.clone()).await;
        let app = app.moved_to(&second);
        assert_eq!(app.belongings().await, before);
        assert_eq!(app.download(&id).await, csv);
        let again = app.post_once(TASKS, "before-the-restart", &json!({ "emails": ["ada@gmail.com"] })).await;
        assert_eq!(again.body, made.body, "idempotency too");
        assert_eq!(app.finished(&id).await, task);
        let waiting = format!("{TASKS}/{}/cancel", link["task"]["id"].as_str().unwrap());
        assert_eq!(app.post(&waiting, &Value::Null).await.expect(200)["state"], "cancelled");
        let new = app.finished(&app.task(&["bob@gmail.com"]).await).await;
        assert_eq!(new["state"], "completed");
        second.stop().await;
    });
}

/// The program, ended when the test is.
struct Program(Child);

impl Program {
    fn start(data: &Path) -> Self {
        build();
        let port =
            (20_000..30_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
        let child =
            Command::new(local::functions::binary_folder(root(), local::Profile::Debug).join("piecework"))
                .args(["--port", &port.to_string(), "--data"])
                .arg(data)
                .current_dir(root())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        Self(child)
    }

    async fn ready(&mut self, data: &Path) -> StackFile {
        let begun = Instant::now();
        loop {
            if let Ok(file) = StackFile::read(data) {
                return file;
            }
            assert_eq!(self.0.try_wait().unwrap(), None, "the program ended");
            assert!(begun.elapsed() < BUILD, "the program did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_task_survives_a_kill_of_the_whole_program() {
    run(async {
        build();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut program = Program::start(&data);
        let file = program.ready(&data).await;
        let made = Operator::of_file(&file).accounts.create("test", SCOPES).await.unwrap();
        let app = App::at(&file.base_url, &made);
        // Three chunks, each with a domain that answers late: the kill comes in their middle.
        let mut emails: Vec<String> = (0..9_000).map(|n| format!("user{n}@gmail.com")).collect();
        for chunk in 0..3 {
            emails[chunk * 4_000] = format!("slow{chunk}@silent.test");
        }
        let id = app.post(TASKS, &json!({ "emails": emails })).await.expect(202)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        until("the chunks are under way", || async {
            (app.get(&format!("{TASKS}/{id}")).await.expect(200)["state"] == "running").then_some(())
        })
        .await;
        drop(program);

        let mut program = Program::start(&data);
        let file = program.ready(&data).await;
        let app = App::at(&file.base_url, &made);
        let task = app.get(&format!("{TASKS}/{id}")).await.expect(200);
        assert_eq!((&task["state"], &task["credits"]["held"]), (&json!("running"), &json!(9_000)), "{task}");
        // The claims of the dead last for minutes; let them pass, and the sweep come.
        let operator = Operator::of_file(&file);
        operator.let_the_leases_end(&app, &id).await;
        operator.let_the_sweep_come(&app, &id).await;
        let sweep = format!("{}/2015-03-31/functions/verify-sweep-tasks/invocations", file.endpoints.lambda);
        let swept = app.send(app.elsewhere(reqwest::Method::POST, &sweep).json(&json!({}))).await;
        assert_eq!(swept.status, 200, "{}", swept.text());

        let task = app.finished(&id).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(
            task["verification_status"],
            json!({ "valid": 8_997, "risky": 0, "invalid": 0, "unknown": 3 })
        );
        let balance = app.balance().await;
        assert_eq!((balance["available"], balance["held"], balance["spent"]), (1_003, 0, 8_997));
        let csv = app.download(&id).await;
        let given = csv.lines().skip(1).map(|line| line.split(',').next().unwrap());
        assert!(given.eq(emails.iter().map(String::as_str)), "every row once, in order");

        kill(Pid::from_raw(program.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(program.0.wait().unwrap().success(), "and it ends cleanly");
    });
}
