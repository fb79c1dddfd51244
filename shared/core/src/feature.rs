//! Feature flags (P20): what a deployment can have switched off, and which data set it shows.
//!
//! The setting `FEATURES` is a list: `ai, thin-slice, dataset=2026-11-20`. What is not named is off.

use std::collections::BTreeSet;

use crate::{
    Settings,
    settings::{Environment, SettingError},
};

/// Something that can be switched off: its routes answer as if they were not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// The language model's routes (S7).
    Ai,
    /// The prototype's routes, `/v1/thin/…` (S9).
    ThinSlice,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ai, Self::ThinSlice];

    /// Its name in the setting and the API description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::ThinSlice => "thin-slice",
        }
    }
}

/// What is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    on: BTreeSet<Feature>,
    /// The data set that is shown instead of the one that was activated, by its version (S4).
    pub dataset: Option<String>,
}

impl Features {
    /// Reads `FEATURES`. A name that nobody knows keeps a function from starting; in `dev`, where branches with other features take
    /// turns, it is passed over.
    ///
    /// # Errors
    /// An unknown name outside `dev`; a value where there is none, or none where there must be one.
    pub fn of(settings: &Settings) -> Result<Self, SettingError> {
        let unusable = |why: String| SettingError::Unusable { name: "FEATURES", why };
        let mut features = Self::default();
        let text = settings.text("FEATURES").unwrap_or_default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (part, None),
            };
            let known = Feature::ALL.into_iter().find(|feature| feature.name() == name);
            match (known, name, value) {
                (Some(feature), _, None) => {
                    features.on.insert(feature);
                }
                (None, "dataset", Some(version)) if !version.is_empty() => {
                    features.dataset = Some(version.to_owned());
                }
                (Some(_), _, Some(_)) => return Err(unusable(format!("{name:?} has no value"))),
                (None, "dataset", _) => {
                    return Err(unusable("a data set is named: dataset=<version>".into()));
                }
                (None, ..) if settings.environment == Environment::Dev => {}
                (None, ..) => return Err(unusable(format!("there is no feature {name:?}"))),
            }
        }
        Ok(features)
    }

    /// Is it on?
    pub fn has(&self, feature: Feature) -> bool {
        self.on.contains(&feature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(environment: &str, text: &str) -> Result<Features, SettingError> {
        let pairs = [("ENVIRONMENT", environment), ("FEATURES", text)];
        Features::of(&Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap())
    }

    #[test]
    fn what_is_not_named_is_off() {
        let none = features("prod", "").unwrap();
        assert!(Feature::ALL.iter().all(|feature| !none.has(*feature)) && none.dataset.is_none());
        let some = features("prod", " thin-slice , dataset = v7,").unwrap();
        assert!(some.has(Feature::ThinSlice) && !some.has(Feature::Ai));
        assert_eq!(some.dataset.as_deref(), Some("v7"));
    }

    #[test]
    fn an_unknown_name_keeps_a_function_from_starting_but_for_dev() {
        for wrong in ["thinslice", "ai,nothing", "ai=yes", "dataset", "dataset="] {
            let refused = features("staging", wrong);
            assert!(
                matches!(refused, Err(SettingError::Unusable { name: "FEATURES", .. })),
                "{wrong}: {refused:?}"
            );
        }
        assert!(features("dev", "ai,nothing").unwrap().has(Feature::Ai));
        assert!(features("dev", "ai=yes").is_err(), "what is known is not misread anywhere");
    }
}
