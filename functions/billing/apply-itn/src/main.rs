//! See the library of this crate.

fn main() -> std::process::ExitCode {
    billing_apply_itn::run()
}
