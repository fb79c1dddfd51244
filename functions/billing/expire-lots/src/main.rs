//! See the library of this crate.

fn main() -> std::process::ExitCode {
    billing_expire_lots::run()
}
