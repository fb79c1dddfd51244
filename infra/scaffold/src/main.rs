//! `cargo run -p scaffold -- verify get-thing GET "/v1/things/{id}"`, or `… -- verify tidy-thing --queue Tidy`.

use std::process::ExitCode;

use clap::Parser;
use scaffold::{Request, Trigger, plan, write};

/// Adds a function: its crate, its block in the area's template, and an event to try it with.
#[derive(Parser)]
struct Arguments {
    /// The area: the name of a template under infra/.
    area: String,
    /// The function: a verb and a noun, as get-thing.
    name: String,
    /// The route's method.
    #[arg(requires = "path", required_unless_present = "queue", conflicts_with = "queue")]
    method: Option<String>,
    /// The route's path, as "/v1/things/{id}".
    path: Option<String>,
    /// Instead of a route: a new queue, as Tidy for TidyQueue.
    #[arg(long)]
    queue: Option<String>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command says what it did")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let trigger = match (arguments.method, arguments.path, arguments.queue) {
        (Some(method), Some(path), _) => Trigger::Route { method, path },
        (_, _, queue) => Trigger::Queue(queue.unwrap_or_default()),
    };
    let request = Request { area: arguments.area, name: arguments.name, trigger };
    let here = std::env::current_dir().unwrap_or_default();
    let Some(root) = here.ancestors().find(|folder| folder.join("template.yaml").is_file()) else {
        eprintln!("there is no template.yaml here or above");
        return ExitCode::FAILURE;
    };
    match plan(root, &request).and_then(|plan| write(root, &plan).map(|()| plan)) {
        Ok(plan) => {
            for (path, _) in &plan.files {
                println!("wrote {path}");
            }
            for step in &plan.next {
                println!("next: {step}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
