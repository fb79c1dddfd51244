//! See the library of this crate.

fn main() -> std::process::ExitCode {
    verify_split_list::run()
}
