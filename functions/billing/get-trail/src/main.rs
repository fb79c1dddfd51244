//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(billing_get_trail::endpoint)
}
