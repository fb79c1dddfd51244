//! What a file may hold, and how long it may be.

use architecture_tests::{members, root, sources};

/// A function is read without scrolling.
const FUNCTION_LINES: usize = 90;
/// Anything else is read in one sitting.
const FILE_LINES: usize = 500;

#[test]
fn files_are_short() {
    for (path, text) in sources() {
        let most = if path.starts_with("functions/") { FUNCTION_LINES } else { FILE_LINES };
        let lines = text.lines().count();
        assert!(lines <= most, "{path} has {lines} lines; {most} are enough");
    }
}

#[test]
fn a_function_is_a_library_and_a_main_that_only_starts_it() {
    for member in members().iter().filter(|m| m.folder.starts_with("functions/")) {
        let folder = root().join(&member.folder).join("src");
        let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        assert!(main.lines().count() <= 5, "{}: main.rs does too much", member.folder);
        assert!(folder.join("lib.rs").is_file(), "{} has no library", member.folder);
    }
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_to_do() {
    // Joined here, so that this file does not find itself.
    let banned =
        [["#[ign", "ore"], ["tod", "o!("], ["unimpl", "emented!("], ["#[al", "low("], ["#![al", "low("]];
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in banned.map(|parts| parts.concat()) {
                assert!(!line.contains(&word), "{path}:{}: {word}", number + 1);
            }
        }
    }
}
