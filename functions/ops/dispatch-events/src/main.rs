//! See the library of this crate.

fn main() -> std::process::ExitCode {
    ops_dispatch_events::run()
}
