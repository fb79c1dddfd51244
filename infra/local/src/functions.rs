//! The function binaries: which there are, and building them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use cargo_metadata::{CargoOpt, Message, MetadataCommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Error;

/// A Cargo profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// `target/debug`.
    Debug,
    /// `target/release`.
    Release,
}

impl Profile {
    /// Its folder under the target folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Where a profile's binaries are, without asking Cargo: `CARGO_TARGET_DIR` or `target`.
pub fn binary_folder(root: &Path, profile: Profile) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |t| root.join(t));
    target.join(profile.folder())
}

/// What was built in this process already.
static BUILT: Mutex<BTreeMap<(PathBuf, Profile), Vec<String>>> = Mutex::new(BTreeMap::new());

/// Builds every package under `root/functions`, once per process, and gives their names. Blocks.
///
/// # Errors
/// If a package does not compile; the error has the compiler's words.
pub fn build_functions(root: &Path, profile: Profile, progress: bool) -> Result<Vec<String>, Error> {
    let key = (root.canonicalize()?, profile);
    // Held while building: a second test of this process waits for the first one's build.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(names) = built.get(&key) {
        return Ok(names.clone());
    }
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .or_else(|_| MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec())?;
    let folder = key.0.join("functions");
    let members = metadata.workspace_packages();
    let functions = members.iter().filter(|p| p.manifest_path.as_std_path().starts_with(&folder));
    let names: Vec<String> = functions.map(|p| p.name.to_string()).collect();
    if !names.is_empty() {
        build(root, profile, &names, metadata.packages.len(), progress)?;
    }
    built.insert(key, names.clone());
    Ok(names)
}

/// What cargo builds in place of the functions alone. Cargo unites the features of what it builds together, so another
/// selection is another build of most dependencies; a check that has built all of the workspace says so here and saves that.
const SELECTION: &str = "PIECEWORK_BUILD";

/// `cargo build --quiet` in `root`, without what cargo told this process about its own package. Passed on, that makes build
/// scripts that look at it (ring's does) run again, and everything above them is compiled again.
pub fn cargo_build(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet"]).current_dir(root);
    for (name, _) in std::env::vars_os() {
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|p| name.to_string_lossy().starts_with(p)) {
            command.env_remove(name);
        }
    }
    command
}

fn build(
    root: &Path,
    profile: Profile,
    names: &[String],
    packages: usize,
    progress: bool,
) -> Result<(), Error> {
    let mut command = cargo_build(root);
    command.arg("--message-format=json-render-diagnostics");
    let each = names.iter().flat_map(|name| ["-p", name]);
    match (std::env::var(SELECTION), profile) {
        (Ok(selection), Profile::Debug) => command.args(selection.split_whitespace()),
        // The default members: the functions together with the stack itself, as `cargo run` and `cargo lambda watch` build them.
        (Err(_), Profile::Debug) => command.arg("--bins"),
        // As they are deployed: by themselves.
        (_, Profile::Release) => command.args(["--release", "--bins"]).args(each),
    };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Read beside the messages, or a full pipe would stop the compiler.
    let diagnostics = std::thread::spawn(move || {
        let mut text = String::new();
        err.map(|mut err| err.read_to_string(&mut text)).transpose().map(|_| text)
    });
    let bar = bar(packages, names.len(), progress);
    if let Some(out) = out {
        for message in Message::parse_stream(std::io::BufReader::new(out)) {
            if let Message::CompilerArtifact(artifact) = message? {
                bar.set_message(artifact.target.name);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    let status = child.wait()?;
    let diagnostics = diagnostics.join().map_err(|_| Error::Build("its output was lost".to_owned()))??;
    if status.success() { Ok(()) } else { Err(Error::Build(diagnostics)) }
}

fn bar(packages: usize, functions: usize, progress: bool) -> ProgressBar {
    let target = if progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(packages as u64), target);
    let template = format!("building {functions} functions {{bar:30}} {{pos}}/{{len}} {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
