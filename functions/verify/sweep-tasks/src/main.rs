//! See the library of this crate.

fn main() -> std::process::ExitCode {
    verify_sweep_tasks::run()
}
