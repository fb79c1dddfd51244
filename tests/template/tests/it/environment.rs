//! The templates give each function the settings that its code reads: found by starting the real binaries.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use local::functions::binary_folder;
use local::{Profile, build_functions};
use template_tests::{model, root};

/// Settings that have a default. Everything else that a template gives must be one that its function asks for.
const OPTIONAL: &[&str] = &[
    "ADMIN_EMAILS",
    "DOCS",
    "FEATURES",
    "IDENTITY_ISSUERS",
    "INVITATION_LINK",
    "MAIL",
    "INBOUND_RETENTION_DAYS",
    "PADDLE_API_KEY",
    "PADDLE_API_URL",
    "PADDLE_PRICES",
    "PADDLE_TOLERANCE_SECONDS",
    "PADDLE_WEBHOOK_SECRETS",
    "PAYFAST_MERCHANT_ID",
    "PAYFAST_MERCHANT_KEY",
    "PAYFAST_PASSPHRASE",
    "PAYFAST_URL",
    "RATE_LIMITS",
    "SENTRY_DSN",
    "SMTP_FROM",
    "SMTP_HELLO",
    "SMTP_PROBE",
    "SSO_PROVIDERS",
    "SSO_SECRETS",
    "SUPABASE_JWT_SECRET",
    "TRACES",
    "VERIFICATION_API_URL",
    "VERSION",
];

/// Starts a function. `Ok` if it asks the Runtime API for its first event, otherwise what it said.
fn start(binary: &Path, env: &BTreeMap<String, String>) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut child = Command::new(binary)
        .env_clear()
        .envs(env)
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", at.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_REGION", "us-east-1"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    });
    // The runtime ends when its first request is not answered; a function that refuses to start ends before it.
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    child.wait().unwrap();
    // Ends the wait if the function never came.
    drop(TcpStream::connect(at));
    match asked.join().unwrap().as_str() {
        line if line.starts_with("GET /2018-06-01/runtime/invocation/next ") => Ok(()),
        _ => Err(said),
    }
}

#[test]
fn every_function_starts_with_its_templates_settings_and_needs_each_of_them() {
    build_functions(&root(), Profile::Debug, false).unwrap();
    let folder = binary_folder(&root(), Profile::Debug);
    for function in model("prod").functions {
        let binary = folder.join(&function.name);
        start(&binary, &function.env)
            .unwrap_or_else(|said| panic!("{} does not start: {said}", function.name));
        for name in function.env.keys().filter(|n| !OPTIONAL.contains(&n.as_str())) {
            let mut env = function.env.clone();
            env.remove(name);
            match start(&binary, &env) {
                Ok(()) => panic!("{} is given {name} and does not need it", function.name),
                Err(said) => {
                    let named = format!("setting {name} is missing");
                    assert!(said.contains(&named), "{} without {name}: {said}", function.name);
                }
            }
        }
    }
}
