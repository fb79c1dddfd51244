//! `piecework`: the one-command stack.

use std::process::ExitCode;

fn main() -> ExitCode {
    local::cli::main()
}
