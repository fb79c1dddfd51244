//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(ops_refuse_route::endpoint)
}
