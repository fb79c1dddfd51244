//! The README tells the truth: its requests, run as printed, give the answers it shows.

use std::process::Command;

use local::seed::Seeded;
use local::{StackFile, seed};
use serde_json::Value;

use crate::support::{root, run, stack};

/// The code blocks of the README, with their languages.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<_> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            found.push((language.to_owned(), body.join("\n")));
        }
    }
    found
}

/// `…` stands for anything.
fn fits(shown: &str, given: &str) -> bool {
    let mut rest = given;
    for (at, part) in shown.split('…').enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(_) if at == 0 => return false,
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

fn same(shown: &Value, given: &Value) -> bool {
    match (shown, given) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w)),
        (Value::String(a), Value::String(b)) => fits(a, b),
        _ => shown == given,
    }
}

#[test]
fn the_readmes_requests_give_the_answers_that_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let seeded: Seeded = run(async { seed::seed(stack()).await.unwrap() });
    let mut file = StackFile::of(stack(), &seeded);
    file.data = folder.path().join(".piecework");
    std::fs::create_dir(&file.data).unwrap();
    file.write().unwrap();
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = blocks(&text);
    // One shell session, as a reader has: variables of one block are there in the next.
    let marks = |n: usize| format!("\necho; echo '--- {n}'\n");
    let shell: Vec<_> = blocks.iter().enumerate().filter(|(_, (language, _))| language == "sh").collect();
    let script: String = shell.iter().map(|(n, (_, body))| format!("{body}{}", marks(*n))).collect();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    let (mut rest, mut checked) = (output.as_str(), 0);
    for (n, _) in &shell {
        let (answer, behind) = rest.split_once(&format!("\n--- {n}\n")).unwrap();
        rest = behind;
        match blocks.get(n + 1) {
            Some((language, shown)) if language == "json" => {
                let (shown, given): (Value, Value) =
                    (serde_json::from_str(shown).unwrap(), serde_json::from_str(answer.trim()).unwrap());
                assert!(same(&shown, &given), "shown {shown}\ngiven {given}");
                checked += 1;
            }
            Some((language, shown)) if language == "csv" => {
                assert!(fits(shown.trim(), answer.trim()), "shown\n{shown}\ngiven\n{answer}");
                checked += 1;
            }
            _ => {}
        }
    }
    assert_eq!(checked, 4, "the README shows four answers");
}
