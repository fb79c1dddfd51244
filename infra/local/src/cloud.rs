//! Who serves DynamoDB, S3, SQS, KMS, Secrets Manager and SSM.

use std::path::{Path, PathBuf};

use crate::Error;

/// AWS's side of a stack. The gate, the functions, their triggers and the outside parties are the same with each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The servers of this house, in this process.
    #[default]
    Embedded,
    /// [ministack](https://pypi.org/project/ministack/), an independent emulator, in a process of its own.
    Ministack {
        /// The program.
        program: PathBuf,
    },
}

/// Names the cloud: `embedded`, or `ministack`.
const CLOUD: &str = "PIECEWORK_CLOUD";
/// Where ministack's program is, unless it is where `tests/cloud/ministack` puts it.
const PROGRAM: &str = "PIECEWORK_MINISTACK";

impl Cloud {
    /// That which `PIECEWORK_CLOUD` names for the repository at `root`; the embedded one unless it is set.
    ///
    /// # Errors
    /// If it names another.
    pub fn from_env(root: &Path) -> Result<Self, Error> {
        let program = || match std::env::var_os(PROGRAM) {
            Some(program) => PathBuf::from(program),
            None => root.join("target/ci/ministack/bin/ministack"),
        };
        match std::env::var(CLOUD).unwrap_or_default().as_str() {
            "" | "embedded" => Ok(Self::Embedded),
            "ministack" => Ok(Self::Ministack { program: program() }),
            other => Err(Error::Cloud(format!("{CLOUD} is {other}, and there are embedded and ministack"))),
        }
    }
}
