//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(account_refresh_session::endpoint)
}
