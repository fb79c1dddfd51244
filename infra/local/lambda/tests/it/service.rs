//! The Lambda service in process.

use crate::support::{alive, busy, eventually, example, invoke, spec, start};
use bytes::Bytes;
use futures::future::join_all;
use local_lambda::{InvokeError, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Outcome};
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::BufRead,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_lambdas_environment_its_own_and_nothing_else() {
    let (lambda, _) = start(vec![spec("described")]).await;
    let seen = invoke(&lambda, "described", json!({"do": "describe"})).await.unwrap();
    let environment = seen["environment"].as_object().unwrap();
    let names: BTreeSet<&str> = environment.keys().map(String::as_str).collect();
    let expected = [
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "LANG",
        "OWN",
        "PATH",
        "TMPDIR",
        "TZ",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "described"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", "eu-west-1"),
        ("TZ", ":UTC"),
        ("OWN", "value"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/described"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    assert_eq!(seen["cwd"], environment["LAMBDA_TASK_ROOT"]);
    assert_eq!((&seen["cwd_entries"], &seen["tmp_entries"]), (&json!(0), &json!(0)));
    let context = &seen["context"];
    assert_eq!(context["invoked_function_arn"], "arn:aws:lambda:eu-west-1:123456789012:function:described");
    assert_eq!(context["request_id"].as_str().unwrap().len(), 36);
    assert!(context["xray_trace_id"].as_str().unwrap().starts_with("Root=1-"));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let left = context["deadline"].as_u64().unwrap() - now;
    assert!((10_000..=20_000).contains(&left), "{left} ms to the deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_are_reused_last_in_first_out_and_start_cold_once() {
    let (lambda, log) = start(vec![spec("f")]).await;
    for n in 0..5 {
        assert_eq!(invoke(&lambda, "f", json!(n)).await.unwrap(), n);
    }
    assert_eq!(lambda.sandboxes().len(), 1);
    let reports = lambda.reports();
    assert_eq!(reports.iter().map(|r| r.cold).collect::<Vec<_>>(), [true, false, false, false, false]);
    assert_eq!(reports.iter().filter(|r| r.init_duration.is_some()).count(), 1);
    assert!(reports.iter().all(|r| r.outcome == Outcome::Ok && r.peak_memory_bytes > 100_000));
    assert_eq!(log.reports().len(), 5);
    let as_json = serde_json::to_value(&reports[0]).unwrap();
    assert!(as_json["duration_ms"].is_f64() && as_json["init_duration_ms"].is_f64());
    assert_eq!(as_json["outcome"], "ok");

    let first = lambda.sandboxes()[0].id;
    let held = busy(&lambda, "f", 1500).await;
    invoke(&lambda, "f", json!(1)).await.unwrap();
    let second = lambda.sandboxes()[1].id;
    held.await.unwrap().unwrap();
    // The first was given back last, so it is taken again.
    invoke(&lambda, "f", json!(1)).await.unwrap();
    let counts: Vec<_> = lambda.sandboxes().iter().map(|s| (s.id, s.invocations)).collect();
    assert_eq!(counts, [(first, 7), (second, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_share_four_sandboxes_and_all_are_answered() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let calls = (0..64).map(|n| {
        let lambda = lambda.clone();
        async move { (n, invoke(&lambda, "f", json!({"n": n})).await.unwrap()) }
    });
    for (n, answer) in join_all(calls).await {
        assert_eq!(answer, json!({"n": n}));
    }
    let sandboxes = lambda.sandboxes();
    assert!(sandboxes.len() <= 4, "{sandboxes:?}");
    assert_eq!(sandboxes.iter().map(|s| s.invocations).sum::<u64>(), 64);
    assert!(sandboxes.iter().all(|s| !s.busy));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_one_caller_waits_and_the_other_is_throttled() {
    let (lambda, _) = start(vec![local_lambda::FunctionSpec { max_concurrency: 1, ..spec("f") }]).await;
    let held = busy(&lambda, "f", 1500).await;
    let throttled = lambda.try_invoke("f", Bytes::from_static(b"1")).await;
    assert!(matches!(throttled, Err(InvokeError::Throttled)));
    assert_eq!(invoke(&lambda, "f", json!(7)).await.unwrap(), 7);
    held.await.unwrap().unwrap();
    assert_eq!(lambda.try_invoke("f", Bytes::from_static(b"8")).await.unwrap(), "8");
    assert_eq!(lambda.sandboxes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_the_sandbox_and_says_so_as_lambda_does() {
    let (lambda, _) =
        start(vec![local_lambda::FunctionSpec { timeout: Duration::from_millis(1500), ..spec("slow") }])
            .await;
    invoke(&lambda, "slow", json!(1)).await.unwrap();
    let pid = lambda.sandboxes()[0].pid;
    let error = invoke(&lambda, "slow", json!({"do": "sleep", "ms": 60_000})).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { after } if after == Duration::from_millis(1500)));
    assert_eq!(error.to_string(), "Task timed out after 1.50 seconds");
    assert!(!alive(pid));
    assert_eq!(lambda.reports().last().unwrap().outcome, Outcome::TimedOut);
    assert_eq!(invoke(&lambda, "slow", json!(2)).await.unwrap(), 2);
    assert_ne!(lambda.sandboxes()[0].pid, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_at_once_and_the_next_event_gets_a_new_sandbox() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let begun = Instant::now();
    let aborted = invoke(&lambda, "f", json!({"do": "abort"})).await.unwrap_err();
    assert!(matches!(aborted, InvokeError::Crashed { signal: Some(6), .. }), "{aborted:?}");
    assert_eq!(aborted.to_string(), "Runtime exited with error: signal: aborted");
    let exited = invoke(&lambda, "f", json!({"do": "exit", "code": 17})).await.unwrap_err();
    assert!(matches!(exited, InvokeError::Crashed { code: Some(17), signal: None }), "{exited:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(lambda.sandboxes().is_empty());
    assert_eq!(invoke(&lambda, "f", json!("alive")).await.unwrap(), "alive");
    let outcomes: Vec<_> = lambda.reports().iter().map(|r| r.outcome).collect();
    assert_eq!(outcomes[1], Outcome::Crashed { signal: None, code: Some(17) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_error_or_a_panic_is_a_function_error_and_keeps_the_sandbox() {
    let (lambda, _) = start(vec![spec("f")]).await;
    for (command, text) in [("fail", "told to fail"), ("panic", "told to panic")] {
        match invoke(&lambda, "f", json!({"do": command})).await.unwrap_err() {
            InvokeError::FunctionError { payload } => {
                let error: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                assert!(error["errorMessage"].as_str().unwrap().contains(text), "{error}");
                assert!(error["errorType"].is_string());
            }
            other => panic!("{other:?}"),
        }
    }
    invoke(&lambda, "f", json!(1)).await.unwrap();
    assert_eq!(lambda.sandboxes().len(), 1);
    assert_eq!(lambda.reports()[0].outcome, Outcome::FunctionError);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_fails_its_own_invocation_and_no_other() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let held = busy(&lambda, "f", 60_000).await;
    let id = lambda.sandboxes()[0].id;
    assert!(lambda.kill_sandbox(id));
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, InvokeError::Crashed { signal: Some(9), .. }), "{error:?}");
    assert!(!lambda.kill_sandbox(id));

    // Idle ones killed under the callers' feet, again and again.
    for n in 0..20 {
        assert_eq!(invoke(&lambda, "f", json!(n)).await.unwrap(), n);
        assert!(lambda.kill_sandbox(lambda.sandboxes()[0].id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_to_start_is_an_init_failure_with_its_reason() {
    let with = |init: &str| {
        let mut spec = spec(init);
        spec.env.insert("INIT".to_owned(), init.to_owned());
        spec
    };
    let missing = local_lambda::FunctionSpec { binary: "/no/such/binary".into(), ..spec("missing") };
    let (lambda, _) = start(vec![with("exit"), with("hang"), with("report"), missing]).await;
    let fail = async |name: &str| match invoke(&lambda, name, json!(1)).await.unwrap_err() {
        InvokeError::InitFailed { message } => message,
        other => panic!("{other:?}"),
    };
    let (exit, hang, report, missing) =
        tokio::join!(fail("exit"), fail("hang"), fail("report"), fail("missing"));
    assert_eq!(exit, "Runtime exited with error: exit status 3");
    assert_eq!(hang, "Init phase timed out after 10.00 seconds");
    assert_eq!(report, r#"{"errorType":"Config","errorMessage":"no table"}"#);
    assert!(missing.starts_with("/no/such/binary: No such file"), "{missing}");
    assert!(lambda.sandboxes().is_empty());
    assert_eq!(lambda.reports().len(), 4);
    assert!(lambda.reports().iter().all(|r| r.outcome == Outcome::InitFailed && r.cold));
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_limited_as_on_lambda_and_the_sandbox_survives_them() {
    let (lambda, _) = start(vec![spec("f")]).await;
    let quotes = 2;
    let most =
        invoke(&lambda, "f", json!({"do": "big", "bytes": MAX_RESPONSE_BYTES - quotes})).await.unwrap();
    assert_eq!(most.as_str().unwrap().len(), 6_291_556 - quotes);
    let error = invoke(&lambda, "f", json!({"do": "big", "bytes": MAX_RESPONSE_BYTES - quotes + 1})).await;
    assert!(matches!(error, Err(InvokeError::ResponseTooLarge)), "{error:?}");
    let largest = Bytes::from(format!("\"{}\"", "y".repeat(MAX_REQUEST_BYTES - quotes)));
    assert_eq!(lambda.invoke("f", largest.clone()).await.unwrap(), largest);
    let larger = Bytes::from(format!("\"{}\"", "y".repeat(MAX_REQUEST_BYTES - quotes + 1)));
    let error = lambda.invoke("f", larger).await.unwrap_err();
    assert!(matches!(error, InvokeError::PayloadTooLarge { size: 6_291_457, limit: 6_291_456 }), "{error:?}");
    assert_eq!(lambda.sandboxes().len(), 1);
    assert!(matches!(lambda.invoke("g", Bytes::new()).await, Err(InvokeError::UnknownFunction)));
}

#[tokio::test(flavor = "multi_thread")]
async fn peak_memory_is_reported_remembered_and_warned_of() {
    let (lambda, log) =
        start(vec![local_lambda::FunctionSpec { memory_mb: 32, ..spec("eater") }, spec("idle")]).await;
    invoke(&lambda, "eater", json!({"do": "eat", "mib": 64})).await.unwrap();
    invoke(&lambda, "eater", json!({"do": "eat", "mib": 1})).await.unwrap();
    let reports = lambda.reports();
    assert!(
        reports.iter().all(|r| r.outcome == Outcome::Ok && r.peak_memory_bytes >= 64 << 20),
        "{reports:?}"
    );
    let warnings =
        log.lines().into_iter().filter(|(_, _, line)| line.contains("exceeds Memory Size: 32 MB")).count();
    assert_eq!(warnings, 1);
    lambda.retire_idle(Duration::ZERO).await;
    assert!(lambda.sandboxes().is_empty());
    let peaks = lambda.peak_memory();
    assert_eq!(peaks.keys().collect::<Vec<_>>(), ["eater"]);
    assert!(peaks["eater"] >= 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_reaches_the_log_line_by_line() {
    let (lambda, log) = start(vec![spec("printer")]).await;
    invoke(&lambda, "printer", json!({"do": "print"})).await.unwrap();
    lambda.retire_idle(Duration::from_secs(3600)).await;
    assert_eq!(lambda.sandboxes().len(), 1, "not idle for an hour");
    let id = lambda.sandboxes()[0].id;
    lambda.shutdown().await;
    let mut lines = log.lines();
    lines.sort();
    let line = |text: &str| ("printer".to_owned(), id, text.to_owned());
    let expected = ["second line", "to stderr, no newline at the end of the process", "to stdout"].map(line);
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_api_refuses_what_the_real_one_refuses() {
    let (lambda, log) = start(vec![spec("f")]).await;
    assert_eq!(invoke(&lambda, "f", json!({"do": "misuse"})).await.unwrap(), "first");
    let expected = r#"["400","400","403","404","405","202","403"]"#;
    eventually("the statuses are printed", || log.lines().iter().any(|(_, _, line)| line == expected)).await;
    assert_eq!(invoke(&lambda, "f", json!(2)).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_leaves_no_process_and_answers_everyone() {
    let (lambda, _) = start(vec![local_lambda::FunctionSpec { max_concurrency: 2, ..spec("f") }]).await;
    let held = [busy(&lambda, "f", 60_000).await, busy(&lambda, "f", 60_000).await];
    let waiting = tokio::spawn({
        let lambda = lambda.clone();
        async move { invoke(&lambda, "f", json!(1)).await }
    });
    let pids: Vec<u32> = lambda.sandboxes().iter().map(|s| s.pid).collect();
    assert_eq!(pids.len(), 2);
    lambda.shutdown().await;
    assert!(!pids.iter().any(|pid| alive(*pid)));
    assert!(lambda.sandboxes().is_empty());
    for held in held {
        assert!(matches!(held.await.unwrap(), Err(InvokeError::Closed)));
    }
    assert!(matches!(waiting.await.unwrap(), Err(InvokeError::Closed)));
    assert!(matches!(invoke(&lambda, "f", json!(1)).await, Err(InvokeError::Closed)));
    lambda.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_service_ends_its_sandboxes() {
    let (lambda, _) = start(vec![spec("f")]).await;
    invoke(&lambda, "f", json!(1)).await.unwrap();
    let pid = lambda.sandboxes()[0].pid;
    drop(lambda);
    eventually("the process is gone", || !alive(pid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_end_by_themselves_when_their_service_is_killed() {
    // What the killed service cannot clean up is cleaned up here.
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(example("lambda_parent"))
        .env("TMPDIR", folder.path())
        .arg(example("lambda_function"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the orphans are gone", || !pids.iter().any(|pid| alive(*pid))).await;
}

#[tokio::test]
async fn a_name_given_twice_is_refused() {
    let log = std::sync::Arc::new(crate::support::Log::default());
    let options = local_lambda::LambdaOptions {
        log,
        account_id: "1".into(),
        region: "eu-west-1".into(),
        scratch: std::env::temp_dir(),
        issue: None,
    };
    let twice =
        local_lambda::Lambda::start(crate::support::listener().await, vec![spec("f"), spec("f")], options);
    assert!(matches!(twice.await, Err(local_lambda::Error::DuplicateFunction(name)) if name == "f"));
}
