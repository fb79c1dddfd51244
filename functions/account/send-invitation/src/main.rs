//! See the library of this crate.

fn main() -> std::process::ExitCode {
    account_send_invitation::run()
}
