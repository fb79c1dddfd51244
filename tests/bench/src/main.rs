//! Measurements against the budgets of `docs/benchmarks.md`, which they write themselves.

#![expect(clippy::print_stdout, reason = "tables are this program's output")]

mod api;
mod auth;
mod engine;
mod functions;
mod list;
mod load;
mod million;
mod report;
mod sandbox;
mod warm;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Errors of measurements are for the person at the terminal.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures functions, bulk verification and the engine, prints the tables, and writes them into docs/benchmarks.md.
/// Ends with status 1 if a budget is broken.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Cold start, warm time, memory and package size of every function.
    Functions(functions::Options),
    /// A list of a million rows through the stack.
    Million(million::Options),
    /// What authentication adds to a request.
    Auth(auth::Options),
    /// Many clients at once through the stack, and under low rate limits.
    Load(load::Options),
    /// The engine alone beside another validator (needs Python and, the first time, PyPI).
    Engine(engine::Options),
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Functions(options) => functions::run(&options),
        What::Million(options) => million::run(&options),
        What::Auth(options) => auth::run(&options),
        What::Load(options) => load::run(&options),
        What::Engine(options) => engine::run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("A budget is broken.");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
