//! See the library of this crate.

fn main() -> std::process::ExitCode {
    verify_erase_workspace::run()
}
