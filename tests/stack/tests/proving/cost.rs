//! What each request and message asks of AWS, as `docs/tables.md` says it.

use std::{collections::BTreeSet, env, fmt::Write as _, fs};

use local_gate::Call;

use super::tour::{Step, Tour};
use crate::support::{left_out, root, run, start};

const PAGE: &str = "docs/tables.md";
const BEGIN: &str = "<!-- begin costs -->\n";
const END: &str = "<!-- end costs -->";

/// `GetItem account`, `TransactWriteItems billing + verify`, `PutObject lists/`.
fn label(call: &Call) -> String {
    let operation = call.operation.split(':').next_back().unwrap_or_default();
    if operation == "GetQueueAttributes" {
        return operation.to_owned();
    }
    let places: BTreeSet<String> = call.asks.iter().map(|ask| place(&ask.resource)).collect();
    let places: Vec<String> = places.into_iter().collect();
    format!("{operation} {}", places.join(" + "))
}

/// A table by its area, an index after a point; an object by its prefix; a queue by its name.
fn place(arn: &str) -> String {
    let name = arn.rsplit("piecework-dev-").next().unwrap_or(arn);
    if arn.starts_with("arn:aws:s3:::") {
        let prefix = name.split('/').nth(1).unwrap_or_default();
        return format!("{prefix}/");
    }
    name.replace("/index/", ".")
}

fn row(step: &Step) -> String {
    let mut calls: Vec<(String, usize)> = Vec::new();
    for call in &step.calls {
        let label = label(call);
        match calls.iter_mut().find(|(l, _)| *l == label) {
            Some((_, n)) => *n += 1,
            None => calls.push((label, 1)),
        }
    }
    let calls: Vec<String> =
        calls.into_iter().map(|(label, n)| if n == 1 { label } else { format!("{n} × {label}") }).collect();
    let sum = |of: fn(&Call) -> f64| step.calls.iter().map(of).fold(0.0, |sum, units| sum + units);
    let (reads, writes) = (sum(|c| c.read_units), sum(|c| c.write_units));
    format!("| {} | {} | {reads} | {writes} |\n", step.name, calls.join(", "))
}

/// A row's name, its calls in a fixed order (what a function asks at the same time comes in any), and its units, unless they are to
/// be left out.
fn parts(row: &str, units: bool) -> (&str, Vec<&str>, &str) {
    let mut cells = row.splitn(4, '|').skip(1);
    let (name, calls) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
    let mut calls: Vec<&str> = calls.trim().split(", ").collect();
    calls.sort_unstable();
    (name, calls, cells.next().filter(|_| units).unwrap_or_default())
}

#[test]
fn every_route_and_message_costs_what_the_page_says_and_pays_for_nothing_it_throws_away() {
    run(async {
        let stack = start(|_| {}).await;
        let Tour { steps, .. } = Tour::of(&stack, false).await;
        for step in &steps {
            for call in &step.calls {
                assert_eq!(call.wasted, 0, "{} reads items and throws them away: {call:?}", step.name);
            }
        }
        let been: BTreeSet<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        for route in &stack.model().routes {
            let key = format!("{} {}", route.method, route.path);
            let known = been.iter().any(|name| *name == key || name.starts_with(&format!("{key},")));
            assert!(known || route.path == "$default", "the tour has not been to {key}");
        }
        let processors = stack.model().sources.iter().map(|s| &s.function);
        for function in processors {
            assert!(
                been.iter().any(|name| name.starts_with(&format!("{function},"))),
                "nor seen {function} at work"
            );
        }
        stack.stop().await;

        let mut table =
            String::from("| request or message | calls | read units | write units |\n|---|---|--:|--:|\n");
        for step in &steps {
            write!(table, "{}", row(step)).unwrap();
        }
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        let (head, rest) = page.split_once(BEGIN).unwrap();
        let (stated, tail) = rest.split_once(END).unwrap();
        if env::var_os("PIECEWORK_WRITE").is_some() {
            return fs::write(root().join(PAGE), format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        }
        assert_eq!(table.lines().count(), stated.lines().count(), "{PAGE} has other rows");
        for (measured, stated) in table.lines().zip(stated.lines()) {
            let uncounted = stated.contains("BatchGetItem") && left_out("units of BatchGetItem");
            let (measured, stated) = (parts(measured, !uncounted), parts(stated, !uncounted));
            assert_eq!(measured, stated, "{PAGE} says otherwise; PIECEWORK_WRITE=1 writes what was measured");
        }
    });
}
