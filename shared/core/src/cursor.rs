//! Opaque page cursors: authenticated, bound to the tenant and the filter, and short-lived (reference: HTTP conventions, section 4).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Fault, Kind, Problem, Settings, hex, settings::SettingError, sha256};

/// How long a cursor can be used.
const LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Rows a page has unless asked otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// Rows a page can have.
const MAX_LIMIT: u32 = 200;

/// The secret that authenticates cursors, and other tokens by a tag of their own.
#[derive(Clone)]
pub struct CursorKey(SecretString);

/// Where the next page starts: the key attributes of the last item seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    v: u8,
    /// Exclusive start key: attribute name → value.
    pub k: BTreeMap<String, String>,
    /// Hash of the filter that the page was asked with.
    q: String,
    /// Expiry, epoch seconds.
    e: i64,
}

impl CursorKey {
    /// A key of at least 16 octets.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// The key of this deployment: `CURSOR_KEY`.
    pub fn of(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self::new(settings.secret("CURSOR_KEY", "cursor-key-for-development-only")?))
    }

    /// A tag of 128 bits, in hexadecimal, that only this key can make for `text`, and that is good for this purpose alone: neither
    /// for a cursor nor for another purpose. A purpose has no line feed in it.
    pub fn tag(&self, purpose: &str, text: &str) -> String {
        hex(&self.hmac(&[purpose.as_bytes(), b".v1\n", text.as_bytes()]))
    }

    /// Whether `tag` is what [`Self::tag`] makes; takes the same time however wrong it is.
    pub fn is_tag(&self, purpose: &str, text: &str, tag: &str) -> bool {
        self.tag(purpose, text).as_bytes().ct_eq(tag.as_bytes()).into()
    }

    fn mac(&self, tenant: &str, payload: &[u8]) -> [u8; 16] {
        self.hmac(&[b"cur.v1\ntenant=", tenant.as_bytes(), b"\n", payload])
    }

    fn hmac(&self, parts: &[&[u8]]) -> [u8; 16] {
        // HMAC takes a key of any length, so this cannot fail; an all-zero MAC would verify nothing of ours.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            return [0; 16];
        };
        for part in parts {
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        short
    }

    fn seal_raw(&self, tenant: &str, payload: &str) -> String {
        format!("{}.{}", B64.encode(payload), B64.encode(self.mac(tenant, payload.as_bytes())))
    }

    /// The token for a page that starts behind `key`, for this tenant and filter only.
    pub fn seal(&self, tenant: &str, filter: &str, key: BTreeMap<String, String>) -> String {
        let e = (crate::now() + LIFE).as_second();
        let cursor = Cursor { v: 1, k: key, q: filter_hash(filter), e };
        self.seal_raw(tenant, &serde_json::to_string(&cursor).unwrap_or_default())
    }

    /// The start key inside `token`, if the token is ours, this tenant's, this filter's and not expired.
    pub fn open(
        &self,
        tenant: &str,
        filter: &str,
        token: &str,
        now: Timestamp,
    ) -> Option<BTreeMap<String, String>> {
        let (payload, mac) = token.split_once('.')?;
        let payload = B64.decode(payload).ok()?;
        let mac = B64.decode(mac).ok()?;
        if !bool::from(mac.ct_eq(&self.mac(tenant, &payload))) {
            return None;
        }
        let cursor: Cursor = serde_json::from_slice(&payload).ok()?;
        (cursor.v == 1 && cursor.q == filter_hash(filter) && cursor.e > now.as_second()).then_some(cursor.k)
    }
}

fn filter_hash(filter: &str) -> String {
    hex(&sha256(&[filter.as_bytes()])[..4])
}

/// `?limit=&cursor=`, as a query string has it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows a page; 50 unless given, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before. Good for 24 hours, for the same caller and filter.
    pub cursor: Option<String>,
}

/// A page as asked for, its cursor opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows wanted, 1 to 200.
    pub limit: u32,
    /// The exclusive start key, if this is not the first page.
    pub start: Option<BTreeMap<String, String>>,
}

impl PageQuery {
    /// Checks the limit and opens the cursor for this tenant and filter.
    pub fn open(&self, key: &CursorKey, tenant: &str, filter: &str) -> Result<PageRequest, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::new(Kind::InvalidQuery)
                .fault(Fault::query("limit", format!("must be 1 to {MAX_LIMIT}"))));
        }
        let start = match self.cursor.as_deref().filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(key.open(tenant, filter, token, crate::now()).ok_or_else(|| {
                Problem::new(Kind::InvalidCursor).detail(
                    "Start again without a cursor; use next_cursor only with the request it came from.",
                )
            })?),
        };
        Ok(PageRequest { limit, start })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJ2IjoxLCJrIjp7InBrIjoiVEVOQU5UI3QxIiwic2siOiJKT0IjMDFKOVozIn0sInEiOiJhMWIyYzNkNCIsImUiOjE3NjQwMDAwMDB9.cRsbHdI5fNE9yjdEXS-sMQ";

    fn key() -> CursorKey {
        CursorKey::new("cursor-test-key-0123456789abcdef".to_owned().into())
    }

    #[test]
    fn the_reference_vector_is_sealed_the_same() {
        let payload = r#"{"v":1,"k":{"pk":"TENANT#t1","sk":"JOB#01J9Z3"},"q":"a1b2c3d4","e":1764000000}"#;
        assert_eq!(key().seal_raw("t1", payload), TOKEN);
        assert_eq!(B64.encode(key().mac("t2", payload.as_bytes())), "qpBW2CP8GPLy-rjlNrvtlQ");
    }

    #[test]
    fn a_tag_is_good_for_its_text_and_purpose_only() {
        let tag = key().tag("invitation", "a");
        assert!(tag.len() == 32 && key().is_tag("invitation", "a", &tag));
        assert!(!key().is_tag("invitation", "b", &tag) && !key().is_tag("cur", "a", &tag));
        assert!(!key().is_tag("invitation", "a", &tag[..31]) && !key().is_tag("invitation", "a", ""));
        let other = CursorKey::new("another-key-another-key".to_owned().into());
        assert!(!other.is_tag("invitation", "a", &tag));
    }

    /// `delivery/copy-table` makes them too; `tests/ways/restore` has the same one.
    #[test]
    fn an_erased_users_tag_is_an_hmac_that_others_can_make_with_the_key() {
        let key = CursorKey::new("a-key-of-the-tests".to_owned().into());
        let tag = key.tag("erased user", "usr_01m7zy15x05bja3eavptzv2wvx");
        assert_eq!(tag, "e260048a2c5ffb3d6ce618fa2fe06d9d");
    }

    #[test]
    fn a_cursor_opens_only_for_its_tenant_filter_and_day() {
        let start = BTreeMap::from([("pk".to_owned(), "P".to_owned())]);
        let token = key().seal("t1", "state=open", start.clone());
        let now = crate::now();
        assert_eq!(key().open("t1", "state=open", &token, now), Some(start));
        assert_eq!(key().open("t2", "state=open", &token, now), None, "another tenant");
        assert_eq!(key().open("t1", "state=done", &token, now), None, "another filter");
        assert_eq!(
            key().open("t1", "state=open", &token, now + SignedDuration::from_hours(25)),
            None,
            "stale"
        );
        assert_eq!(
            CursorKey::new("another-key-another-key".to_owned().into()).open("t1", "state=open", &token, now),
            None
        );
        for cut in 0..token.len() {
            assert_eq!(key().open("t1", "state=open", &token[..cut], now), None);
        }
    }
}
