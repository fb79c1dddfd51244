//! See the library of this crate.

fn main() -> std::process::ExitCode {
    web::run(billing_replay_inbound::endpoint)
}
