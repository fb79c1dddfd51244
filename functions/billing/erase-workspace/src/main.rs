//! See the library of this crate.

fn main() -> std::process::ExitCode {
    billing_erase_workspace::run()
}
