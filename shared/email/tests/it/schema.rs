//! The types say of themselves, for the API's description, what they look like when serialised.

use email::route::SmtpOutcome;
use email::{Provider, Status, SubStatus, SyntaxError, Verification};
use serde_json::Value;
use utoipa::PartialSchema;

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap()
}

#[test]
fn enums_are_described_by_the_names_they_serialise_to() {
    assert_eq!(schema::<Status>()["enum"], serde_json::json!(["valid", "risky", "invalid", "unknown"]));
    let named = |schema: Value, name: &str| {
        schema["enum"].as_array().is_some_and(|names| names.contains(&name.into()))
    };
    assert!(named(schema::<SubStatus>(), "accepts_mail"));
    assert!(named(schema::<SyntaxError>(), "domain_label_too_long"));
    assert!(named(schema::<Provider>(), "microsoft_365"));
    assert!(schema::<SmtpOutcome>().to_string().contains("no_such_mailbox"));
}

#[test]
fn a_result_describes_every_field_that_it_serialises() {
    let given =
        serde_json::to_value(Verification::new(email::inspect("jane@example.org"), None, None)).unwrap();
    let described = schema::<Verification>();
    for field in given.as_object().unwrap().keys() {
        assert!(described["properties"].get(field).is_some(), "{field}");
    }
}
