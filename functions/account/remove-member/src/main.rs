//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(account_remove_member::endpoint)
}
