//! The templates as the stack reads them: YAML to plain values, intrinsic functions, then a typed model.

pub mod intrinsics;
pub mod load;
pub mod model;
mod physical;
mod properties;
mod read;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// Why a template cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A template file could not be read.
    #[error("cannot read template {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A template is not YAML.
    #[error("{} is not valid YAML", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
    /// A template does not have the shape of a template.
    #[error("{place}: {reason}")]
    Shape {
        /// Stack and logical id, or file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A resource type that the stack neither runs nor knows to leave out.
    #[error("{place}: resource type {kind} is not supported by the one-command stack")]
    UnknownType {
        /// Stack and logical id.
        place: String,
        /// The `Type`.
        kind: String,
    },
}

impl TemplateError {
    pub(crate) fn shape(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Shape { place: place.into(), reason: reason.into() }
    }
}
