//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(ops_get_thin_health::endpoint)
}
