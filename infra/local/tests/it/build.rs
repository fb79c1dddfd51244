//! Building functions in a small workspace of its own.

use std::fs;
use std::path::Path;

use local::{Error, Profile, build_functions};

fn workspace(folder: &Path, main: &str) {
    let function = folder.join("functions/area/area-do-thing");
    fs::create_dir_all(function.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = [\"functions/*/*\"]\nresolver = \"3\"\n")
        .unwrap();
    let manifest = "[package]\nname = \"area-do-thing\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(function.join("Cargo.toml"), manifest).unwrap();
    fs::write(function.join("src/main.rs"), main).unwrap();
}

#[test]
fn every_package_under_functions_is_built_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path(), "fn main() {}");
    assert_eq!(build_functions(folder.path(), Profile::Debug, false).unwrap(), ["area-do-thing"]);
    let binary = local::functions::binary_folder(folder.path(), Profile::Debug).join("area-do-thing");
    assert!(binary.is_file(), "{}", binary.display());
}

#[test]
fn a_function_that_does_not_compile_is_an_error_in_the_compilers_words() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path(), "fn main() { missing() }");
    let error = build_functions(folder.path(), Profile::Debug, false).unwrap_err();
    assert!(matches!(&error, Error::Build(text) if text.contains("missing")), "{error}");
}
