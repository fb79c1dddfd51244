//! A new function's files, in the shape of the others.

mod crates;
mod event;
mod template;

use std::path::Path;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The area, `verify`.
    pub area: String,
    /// A verb and a noun, `get-thing`.
    pub name: String,
    /// What invokes it.
    pub trigger: Trigger,
}

/// What invokes the function.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// A route of the API.
    Route {
        /// `GET` and so on.
        method: String,
        /// `/v1/things/{id}`.
        path: String,
    },
    /// A queue of its own: `Tidy` makes `TidyQueue` and `TidyDeadLetters`.
    Queue(String),
}

/// Files to write, and what is left to do by hand.
#[derive(Debug)]
pub struct Plan {
    /// Path from the root, and the whole text.
    pub files: Vec<(String, String)>,
    /// Steps in words.
    pub next: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or route is not of the expected form.
    #[error("{what} {given:?} is not usable: {why}")]
    Unusable {
        /// Which argument.
        what: &'static str,
        /// What it was.
        given: String,
        /// What it must be.
        why: &'static str,
    },
    /// The function or route is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Path from the root.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Request {
    /// `verify-get-thing`.
    pub fn package(&self) -> String {
        format!("{}-{}", self.area, self.name)
    }

    /// `get_thing`.
    fn handler(&self) -> String {
        self.name.replace('-', "_")
    }

    /// `GetThing`.
    fn logical(&self) -> String {
        self.name.split('-').map(capital).collect()
    }

    /// `Get thing`.
    fn sentence(&self) -> String {
        capital(&self.name.replace('-', " "))
    }

    fn check(&self) -> Result<(), Error> {
        let unusable = |what, given: &str, why| Err(Error::Unusable { what, given: given.to_owned(), why });
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !(self.name.contains('-') && self.name.split('-').all(word)) {
            return unusable("the name", &self.name, "a verb and a noun in lower case, as get-thing");
        }
        match &self.trigger {
            Trigger::Route { method, path } => {
                if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                    return unusable("the method", method, "GET, POST, PUT, PATCH or DELETE");
                }
                let segment = |s: &str| {
                    let inside = s.strip_prefix('{').and_then(|s| s.strip_suffix('}')).unwrap_or(s);
                    !inside.is_empty()
                        && inside
                            .bytes()
                            .all(|b| b.is_ascii_lowercase() || b"-_.".contains(&b) || b.is_ascii_digit())
                };
                if !path.strip_prefix("/v1/").is_some_and(|rest| rest.split('/').all(segment)) {
                    return unusable("the path", path, "/v1/ and segments in lower case, as /v1/things/{id}");
                }
            }
            Trigger::Queue(queue) => {
                let rest = queue.strip_prefix(|c: char| c.is_ascii_uppercase());
                if !rest.is_some_and(word) {
                    return unusable("the queue", queue, "one word with a capital, as Tidy");
                }
            }
        }
        Ok(())
    }
}

/// The files of a new function. Writes nothing.
///
/// # Errors
/// If the request is not usable, or something of that name is there.
pub fn plan(root: &Path, request: &Request) -> Result<Plan, Error> {
    request.check()?;
    let folder = format!("functions/{}/{}", request.area, request.name);
    if root.join(&folder).exists() {
        return Err(Error::Exists(folder));
    }
    let template = format!("infra/{}.yaml", request.area);
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path))
            .map_err(|source| Error::File { path: path.to_owned(), source })
    };
    let area = template::Area::new(&read(&template)?);
    let mut next = Vec::new();
    let mut files = vec![
        (format!("{folder}/Cargo.toml"), crates::manifest(request, &area)),
        (format!("{folder}/src/lib.rs"), crates::library(request, &area)),
        (format!("{folder}/src/main.rs"), crates::main(request)),
        (template, area.with(request, &mut next)?),
        (format!("events/{}.json", request.package()), event::event(request, &area)),
    ];
    if let Trigger::Route { method, path } = &request.trigger {
        let manifest = read("Cargo.toml")?;
        files.push(("Cargo.toml".to_owned(), crates::watched(&manifest, request, method, path, &mut next)));
    }
    next.push(format!("fill in {folder}/src/lib.rs, and grant in the template what it calls"));
    if matches!(request.trigger, Trigger::Route { .. }) {
        next.push("describe it: cargo run -- openapi".to_owned());
    }
    next.push(format!(
        "test it from outside in tests/stack; check it: cargo test -p {} -p template-tests",
        request.package()
    ));
    Ok(Plan { files, next })
}

/// Writes a plan.
///
/// # Errors
/// As the file system.
pub fn write(root: &Path, plan: &Plan) -> Result<(), Error> {
    for (path, text) in &plan.files {
        let file = |source| Error::File { path: path.clone(), source };
        let target = root.join(path);
        std::fs::create_dir_all(target.parent().unwrap_or(root)).map_err(file)?;
        std::fs::write(target, text).map_err(file)?;
    }
    Ok(())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The names in a path's braces.
fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect()
}
