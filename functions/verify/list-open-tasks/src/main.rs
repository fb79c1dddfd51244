//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(verify_list_open_tasks::endpoint)
}
