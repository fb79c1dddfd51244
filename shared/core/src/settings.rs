//! Typed settings from the environment. A missing one stops the function before its first invocation, by name (P12).

use std::{collections::HashMap, str::FromStr};

use secrecy::SecretString;

/// Where this deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine or a test. The only place where a secret has a default.
    Dev,
    /// Rehearsal.
    Staging,
    /// Customers.
    Prod,
}

impl FromStr for Environment {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dev" => Ok(Self::Dev),
            "staging" => Ok(Self::Staging),
            "prod" => Ok(Self::Prod),
            _ => Err("must be dev, staging or prod"),
        }
    }
}

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        })
    }
}

/// A setting that keeps a function from starting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingError {
    /// It is not there.
    #[error("setting {0} is missing")]
    Missing(&'static str),
    /// It is there and cannot be used. The value is not shown: it may be a secret.
    #[error("setting {name} is not usable: {why}")]
    Unusable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// The environment, read once at start.
#[derive(Clone)]
pub struct Settings {
    values: HashMap<String, String>,
    /// Where this deployment stands.
    pub environment: Environment,
}

impl Settings {
    /// The settings of this process. `ENVIRONMENT` must be there.
    pub fn from_env() -> Result<Self, SettingError> {
        Self::from_values(std::env::vars())
    }

    /// Settings from pairs, for tests and tools.
    pub fn from_values(values: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingError> {
        let values: HashMap<_, _> = values.into_iter().collect();
        let environment = parse(&values, "ENVIRONMENT")?.ok_or(SettingError::Missing("ENVIRONMENT"))?;
        Ok(Self { values, environment })
    }

    /// A text, if set and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A text that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, SettingError> {
        self.text(name).ok_or(SettingError::Missing(name))
    }

    /// A value that parses, if set.
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, SettingError>
    where
        T::Err: ToString,
    {
        parse(&self.values, name)
    }

    /// A secret of at least 16 octets. Only in `dev` may it be missing, and then it is `dev_default`.
    pub fn secret(&self, name: &'static str, dev_default: &str) -> Result<SecretString, SettingError> {
        match self.text(name) {
            Some(value) if value.len() >= 16 => Ok(value.to_owned().into()),
            Some(_) => Err(SettingError::Unusable { name, why: "must be at least 16 octets".into() }),
            None if self.environment == Environment::Dev => Ok(dev_default.to_owned().into()),
            None => Err(SettingError::Missing(name)),
        }
    }
}

fn parse<T: FromStr>(values: &HashMap<String, String>, name: &'static str) -> Result<Option<T>, SettingError>
where
    T::Err: ToString,
{
    match values.get(name).filter(|v| !v.is_empty()) {
        None => Ok(None),
        Some(text) => {
            text.parse().map(Some).map_err(|e: T::Err| SettingError::Unusable { name, why: e.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::from_values(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(settings(&[]).err(), Some(SettingError::Missing("ENVIRONMENT")));
        let prod = settings(&[("ENVIRONMENT", "prod")]).unwrap();
        assert_eq!(prod.required("VERIFY_TABLE").err(), Some(SettingError::Missing("VERIFY_TABLE")));
        assert!(matches!(prod.secret("CURSOR_KEY", "dev").err(), Some(SettingError::Missing("CURSOR_KEY"))));
    }

    #[test]
    fn a_secret_has_a_default_in_dev_only_and_is_never_short() {
        assert!(settings(&[("ENVIRONMENT", "dev")]).unwrap().secret("CURSOR_KEY", "dev").is_ok());
        let short =
            settings(&[("ENVIRONMENT", "dev"), ("CURSOR_KEY", "short")]).unwrap().secret("CURSOR_KEY", "dev");
        assert!(matches!(short, Err(SettingError::Unusable { name: "CURSOR_KEY", .. })));
        assert!(settings(&[("ENVIRONMENT", "production")]).is_err());
    }
}
