//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(billing_initiate_payment::endpoint)
}
