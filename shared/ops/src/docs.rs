//! The reference page.

use aws::{Clients, Deps};
use piecework_core::{
    Settings,
    settings::{Environment, SettingError},
};

/// The reference page: one file that reads `openapi.json` and loads nothing from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Docs {
    /// Whether there is one: `DOCS` is `on` or `off`; without it, everywhere but in production.
    pub on: bool,
}

impl Docs {
    /// The page.
    pub const PAGE: &str = include_str!("docs.html");
    /// What the page may do: run its own script, ask its own origin.
    pub const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
}

impl Deps for Docs {
    fn new(settings: &Settings, _: &Clients) -> Result<Self, SettingError> {
        let on = match settings.text("DOCS") {
            Some("on") => true,
            Some("off") => false,
            None => settings.environment != Environment::Prod,
            Some(_) => return Err(SettingError::Unusable { name: "DOCS", why: "must be on or off".into() }),
        };
        Ok(Self { on })
    }
}
