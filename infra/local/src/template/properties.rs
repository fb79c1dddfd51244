//! Typed access to resolved properties. CloudFormation lets a number be written as a string, so both are read.

use serde_json::Value;

use super::TemplateError;
use super::intrinsics::scalar;

/// Resolved properties and where they stand, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Properties<'a> {
    pub place: &'a str,
    pub value: &'a Value,
}

impl<'a> Properties<'a> {
    pub fn at(&self, key: &str) -> Properties<'a> {
        Properties { place: self.place, value: &self.value[key] }
    }

    pub fn has(&self, key: &str) -> bool {
        !self.value[key].is_null()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        scalar(&self.value[key])
    }

    pub fn required(&self, key: &str) -> Result<String, TemplateError> {
        self.text(key).ok_or_else(|| self.error(format!("{key} is missing")))
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, TemplateError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.error(format!("{key} is not a number in range: {text}")))
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, TemplateError> {
        match self.text(key).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.error(format!("{key} is not true or false: {other}"))),
        }
    }

    pub fn list(&self, key: &str) -> impl Iterator<Item = Properties<'a>> {
        let place = self.place;
        self.value[key].as_array().into_iter().flatten().map(move |value| Properties { place, value })
    }

    pub fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).filter_map(|p| scalar(p.value)).collect()
    }

    pub fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::shape(self.place, reason)
    }
}
