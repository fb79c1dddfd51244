//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(billing_list_inbound::endpoint)
}
