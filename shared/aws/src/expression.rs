//! Conditions and updates without hand-written `#names` and `:values`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Key;

/// A value that an expression can hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Value(pub(crate) AttributeValue);

impl Value {
    /// Anything that serialises: a list, a map, an enum.
    pub fn of<T: serde::Serialize>(value: &T) -> Result<Self, crate::Error> {
        Ok(Self(serde_dynamo::to_attribute_value(value)?))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(AttributeValue::S(text.to_owned()))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(AttributeValue::S(text))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self(AttributeValue::S(text.clone()))
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(AttributeValue::Bool(flag))
    }
}
/// Text as records have it, to be set or found equal. It does not sort as time does: [`piecework_core::sortable`].
impl From<jiff::Timestamp> for Value {
    fn from(at: jiff::Timestamp) -> Self {
        Self(AttributeValue::S(at.to_string()))
    }
}
macro_rules! number {
    ($($t:ty),*) => {$(
        impl From<$t> for Value {
            fn from(number: $t) -> Self {
                Self(AttributeValue::N(number.to_string()))
            }
        }
    )*};
}
number!(i64, u64, i32, u32, usize);

/// A condition on an item, for a write to go through.
#[derive(Debug, Clone, PartialEq)]
pub enum Cond {
    /// The attribute (or, for `pk`, the item) is not there.
    Absent(&'static str),
    /// It is there.
    Present(&'static str),
    /// It compares with a value by `=`, `<>`, `<`, `<=`, `>` or `>=`.
    Is(&'static str, &'static str, Value),
    /// It compares with another attribute.
    IsAttr(&'static str, &'static str, &'static str),
    /// Any of these.
    Any(Vec<Cond>),
    /// All of these.
    All(Vec<Cond>),
}

impl Cond {
    /// `attribute = value`.
    pub fn eq(attribute: &'static str, value: impl Into<Value>) -> Self {
        Self::Is(attribute, "=", value.into())
    }
    /// `attribute <op> value`.
    pub fn is(attribute: &'static str, op: &'static str, value: impl Into<Value>) -> Self {
        Self::Is(attribute, op, value.into())
    }
    /// The attribute equals one of the values.
    pub fn one_of<V: Into<Value>>(attribute: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        Self::Any(values.into_iter().map(|v| Self::eq(attribute, v)).collect())
    }
    /// The item is not there, or its `expires_at` (epoch seconds) has passed: time to live deletes late.
    pub fn absent_or_expired() -> Self {
        Self::Any(vec![Self::Absent("pk"), Self::is("expires_at", "<", piecework_core::now().as_second())])
    }
}

/// Names and values of one expression, numbered as they come.
#[derive(Default)]
pub(crate) struct Names {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Names {
    pub(crate) fn name(&mut self, attribute: &str) -> String {
        // The attribute names of this code are identifiers, so `#` makes any of them safe, reserved words too.
        let token = format!("#{attribute}");
        self.names.insert(token.clone(), attribute.to_owned());
        token
    }

    pub(crate) fn value(&mut self, value: Value) -> String {
        let token = format!(":v{}", self.values.len());
        self.values.insert(token.clone(), value.0);
        token
    }

    pub(crate) fn condition(&mut self, condition: Cond) -> String {
        match condition {
            Cond::Absent(a) => format!("attribute_not_exists({})", self.name(a)),
            Cond::Present(a) => format!("attribute_exists({})", self.name(a)),
            Cond::Is(a, op, v) => format!("{} {op} {}", self.name(a), self.value(v)),
            Cond::IsAttr(a, op, b) => format!("{} {op} {}", self.name(a), self.name(b)),
            Cond::Any(parts) => self.join(parts, " OR "),
            Cond::All(parts) => self.join(parts, " AND "),
        }
    }

    fn join(&mut self, parts: Vec<Cond>, with: &str) -> String {
        let parts: Vec<_> = parts.into_iter().map(|p| self.condition(p)).collect();
        format!("({})", parts.join(with))
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

/// A change to one item: attributes set, added to or removed, under conditions.
#[derive(Debug, Clone)]
pub struct Update {
    pub(crate) key: Key,
    set: Vec<(String, Value)>,
    add: Vec<(String, Value)>,
    remove: Vec<&'static str>,
    conditions: Vec<Cond>,
}

impl Update {
    /// A change to the item at `key`.
    pub fn at(key: Key) -> Self {
        Self { key, set: Vec::new(), add: Vec::new(), remove: Vec::new(), conditions: Vec::new() }
    }
    /// Sets an attribute. Its name may be made at run time.
    #[must_use]
    pub fn set(mut self, attribute: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set.push((attribute.into(), value.into()));
        self
    }
    /// Adds to a number, which starts from zero. The attribute's name may be made at run time.
    #[must_use]
    pub fn add(mut self, attribute: impl Into<String>, number: i64) -> Self {
        self.add.push((attribute.into(), number.into()));
        self
    }
    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, attribute: &'static str) -> Self {
        self.remove.push(attribute);
        self
    }
    /// Only if this holds (together with every other condition).
    #[must_use]
    pub fn when(mut self, condition: Cond) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The update expression, the condition expression, and their names and values.
    pub(crate) fn render(self) -> (Key, String, Option<String>, Names) {
        let mut names = Names::default();
        let mut expression = String::new();
        let mut clause = |word: &str, parts: Vec<String>| {
            if !parts.is_empty() {
                if !expression.is_empty() {
                    expression.push(' ');
                }
                expression.push_str(word);
                expression.push(' ');
                expression.push_str(&parts.join(", "));
            }
        };
        let set =
            self.set.into_iter().map(|(a, v)| format!("{} = {}", names.name(&a), names.value(v))).collect();
        clause("SET", set);
        let add =
            self.add.into_iter().map(|(a, v)| format!("{} {}", names.name(&a), names.value(v))).collect();
        clause("ADD", add);
        clause("REMOVE", self.remove.into_iter().map(|a| names.name(a)).collect());
        let condition = (!self.conditions.is_empty()).then(|| {
            let parts: Vec<_> = self.conditions.into_iter().map(|c| names.condition(c)).collect();
            parts.join(" AND ")
        });
        (self.key, expression, condition, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_renders_each_clause_once() {
        let update = Update::at(Key::new("P", "S"))
            .set("state", "done")
            .add("done", 1)
            .remove("lease")
            .when(Cond::eq("state", "open"))
            .when(Cond::absent_or_expired());
        let (_, expression, condition, names) = update.render();
        assert_eq!(expression, "SET #state = :v0 ADD #done :v1 REMOVE #lease");
        assert_eq!(condition.unwrap(), "#state = :v2 AND (attribute_not_exists(#pk) OR #expires_at < :v3)");
        assert_eq!(names.values().unwrap().len(), 4);
    }
}
