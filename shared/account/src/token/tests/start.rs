//! What keeps a function from starting.

use piecework_core::settings::SettingError;
use serde_json::{Value, json};

use super::{Tokens, settings};

fn refused(environment: &str, issuers: &Value) -> Option<String> {
    let issuers = issuers.to_string();
    let pairs = [
        ("ENVIRONMENT", environment),
        ("IDENTITY_ISSUERS", issuers.as_str()),
        ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ];
    Tokens::new(&settings(&pairs)).err().map(|error| {
        assert!(matches!(error, SettingError::Unusable { name: "IDENTITY_ISSUERS", .. }), "{error}");
        error.to_string()
    })
}

#[test]
fn outside_dev_a_development_issuer_keeps_the_function_from_starting_and_is_named() {
    let real = json!([
        { "kind": "clerk", "issuer": "https://clerk.example.com", "azp": ["https://app.example.com"] },
        { "kind": "firebase", "project": "my-project" },
        { "kind": "supabase", "issuer": "https://abc.supabase.co/auth/v1", "legacy_secret": true },
        { "kind": "oidc", "issuer": "https://example.eu.auth0.com/", "audience": ["api"] },
    ]);
    for environment in ["dev", "staging", "prod"] {
        assert_eq!(refused(environment, &real), None);
    }
    let oidc = |issuer: &str| json!([{ "kind": "oidc", "issuer": issuer, "audience": ["api"] }]);
    for issuer in [
        "http://auth.example.com",
        "http://127.0.0.1:9005",
        "https://127.0.0.1",
        "https://[::1]:8443",
        "https://10.0.0.7/auth",
        "https://localhost:8080",
        "https://issuer.localhost",
        "https://LOCALHOST.",
        "https://clerk.piecework.test",
        "https://happy-cat-1.clerk.accounts.dev",
    ] {
        assert_eq!(refused("dev", &oidc(issuer)), None, "{issuer}");
        for environment in ["staging", "prod"] {
            let said = refused(environment, &oidc(issuer)).unwrap_or_default();
            assert!(said.contains(issuer) && said.contains("development issuer"), "{said}");
        }
    }
    let keys = json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "jwks_uri": "http://127.0.0.1/k" }]);
    assert!(refused("dev", &keys).is_none() && refused("prod", &keys).is_some());
}

#[test]
fn settings_that_would_weaken_the_check_or_make_no_sense_keep_the_function_from_starting() {
    for wrong in [
        json!({}),
        json!([{}]),
        json!([{ "kind": "none", "issuer": "https://a.example.com" }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com" }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": [] }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "algorithms": [] }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "algorithms": ["HS256"] }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "algorithms": ["none"] }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "verify": false }]),
        json!([{ "kind": "oidc", "issuer": "https://a.example.com", "audience": ["a"], "skew": 61 }]),
        json!([{ "kind": "oidc", "issuer": "https://u@a.example.com", "audience": ["a"] }]),
        json!([{ "kind": "oidc", "issuer": "a.example.com", "audience": ["a"] }]),
        json!([{ "kind": "oidc", "issuer": "ftp://a.example.com", "audience": ["a"] }]),
        json!([{ "kind": "clerk", "issuer": "https://a.example.com" }]),
        json!([{ "kind": "clerk", "issuer": "https://a.example.com", "azp": ["a"], "algorithms": ["RS256"] }]),
        json!([{ "kind": "firebase", "issuer": "https://a.example.com" }]),
        json!([{ "kind": "firebase", "project": "" }]),
        json!([{ "kind": "supabase", "issuer": "https://a.example.com", "audience": ["x"] }]),
        json!([{ "kind": "supabase", "issuer": "https://a.example.com", "admin": { "claim": "/user_metadata/role", "value": "admin" } }]),
        json!([{ "kind": "clerk", "issuer": "https://a.example.com", "azp": ["https://b.example.com"], "admin": { "claim": "/unsafe_metadata/role", "value": "admin" } }]),
        json!([{ "kind": "clerk", "issuer": "https://a.example.com", "azp": ["https://b.example.com"], "anonymous": true }]),
        json!([{ "kind": "firebase", "project": "p" }, { "kind": "firebase", "project": "p" }]),
    ] {
        for environment in ["dev", "prod"] {
            assert!(refused(environment, &wrong).is_some(), "{wrong}");
        }
    }
    for (environment, secret, fine) in [
        ("dev", "", true),
        ("prod", "", false),
        ("prod", "only-twenty-octets-x", false),
        ("dev", "only-twenty-octets-x", false),
    ] {
        let issuers =
            json!([{ "kind": "supabase", "issuer": "https://a.example.com", "legacy_secret": true }])
                .to_string();
        let pairs = [
            ("ENVIRONMENT", environment),
            ("IDENTITY_ISSUERS", issuers.as_str()),
            ("SUPABASE_JWT_SECRET", secret),
        ];
        let made = Tokens::new(&settings(&pairs)).map(drop);
        assert_eq!(made.is_ok(), fine, "{environment} {secret:?}");
        if let Err(error) = made {
            assert!(error.to_string().contains("SUPABASE_JWT_SECRET"), "{error}");
        }
    }
    for (admins, fine) in [
        ("", true),
        ("a@b.example, c@d.example", true),
        ("a", false),
        ("a@b.example c@d.example", false),
        ("\u{430}da@example.com", false),
        ("@x.example", false),
    ] {
        let made = Tokens::new(&settings(&[("ENVIRONMENT", "prod"), ("ADMIN_EMAILS", admins)]));
        assert_eq!(made.is_ok(), fine, "{admins:?}");
    }
}
