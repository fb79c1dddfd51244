//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(verify_get_overview::endpoint)
}
