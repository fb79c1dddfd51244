//! Time-ordered ids with a type: `tsk_01j9z3…` is a task and nothing else. The part behind the prefix is a ULID in lower case.

/// Why a text is not an id of the asked type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}_01j9z3k5m8n2p4q6r7s8t9v0wx")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// Declares a typed id: `typed_id!(TaskId, "tsk", "A verification task.");`
#[macro_export]
macro_rules! typed_id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($crate::__private::ulid::Ulid);

        impl $name {
            /// The text before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, later than every id made before it by more than a millisecond.
            #[expect(clippy::new_without_default, reason = "each call gives another id")]
            pub fn new() -> Self {
                Self($crate::__private::ulid::Ulid::generate())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.to_string().to_ascii_lowercase())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let wrong = $crate::IdError { prefix: $prefix };
                let body = text.strip_prefix(concat!($prefix, "_")).ok_or(wrong.clone())?;
                // One spelling only: an id is a key, and keys are compared as bytes.
                if body.len() != 26 || body.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(wrong);
                }
                let id = Self($crate::__private::ulid::Ulid::from_string(body).map_err(|_| wrong.clone())?);
                if id.to_string() == text { Ok(id) } else { Err(wrong) }
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as $crate::__private::serde::Deserialize>::deserialize(d)?;
                text.parse().map_err($crate::__private::serde::de::Error::custom)
            }
        }

        impl $crate::__private::utoipa::PartialSchema for $name {
            fn schema()
            -> $crate::__private::utoipa::openapi::RefOr<$crate::__private::utoipa::openapi::schema::Schema>
            {
                $crate::__private::utoipa::openapi::ObjectBuilder::new()
                    .schema_type($crate::__private::utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-hjkmnp-tv-z]{26}$")))
                    .examples([concat!($prefix, "_01j9z3k5m8n2p4q6r7s8t9v0wx")])
                    .description(Some($doc))
                    .into()
            }
        }
        impl $crate::__private::utoipa::ToSchema for $name {}
    };
}

typed_id!(UserId, "usr", "A person.");
typed_id!(
    WorkspaceId,
    "wsp",
    "A workspace: the tenant that owns tasks, keys and credits. Every user has a personal one."
);

impl WorkspaceId {
    /// The platform itself: whose that is which belongs to no tenant, or to one that is not known yet.
    pub const PLATFORM: Self = Self(ulid::Ulid::nil());
}

typed_id!(KeyId, "key", "An API key (its public part).");
typed_id!(EventId, "evt", "A domain event.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_json() {
        let id = UserId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<UserId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn another_types_id_is_refused() {
        assert!(WorkspaceId::new().to_string().parse::<UserId>().is_err());
        for wrong in [
            "",
            "usr_",
            "usr_01J9Z3K5M8N2P4Q6R7S8T9V0WX",
            "usr_81j9z3k5m8n2p4q6r7s8t9v0wx",
            "usr_01j9z3k5m8n2p4q6r7s8t9v0w",
            "usr_01j9z3k5m8n2p4q6r7s8t9v0wl",
        ] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn later_ids_sort_later() {
        let first = EventId::new();
        let mut later = EventId::new();
        while later.0.timestamp_ms() == first.0.timestamp_ms() {
            later = EventId::new();
        }
        assert!(later.to_string() > first.to_string());
    }
}
