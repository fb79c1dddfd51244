//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(billing_create_checkout::endpoint)
}
