//! What the stack hands to others that run its functions: `cargo lambda watch`, and the containers of `sam local`.
//!
//! Both know only the variables that they are given, and the addresses of the services are known only once they run. So each
//! start writes `functions.json`, the variables of every function, and `sam/`, the templates with those variables in them:
//! `sam local --env-vars` leaves out what a template does not declare.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::stack::STACK_NAME;
use crate::template::load::{StackTemplate, load};
use crate::{Error, Stack, data, files};

/// Variables by function.
const VARIABLES: &str = "functions.json";
/// The templates for `sam local`.
const TEMPLATES: &str = "sam";

/// Writes both into the data folder.
///
/// # Errors
/// As the templates and the file system.
pub fn write(stack: &Stack, root: &Path) -> Result<(), Error> {
    let functions = &stack.model().functions;
    let variables: BTreeMap<&str, BTreeMap<String, String>> =
        functions.iter().map(|f| (f.name.as_str(), stack.function_env(&f.name))).collect();
    files::replace(&stack.data().join(VARIABLES), &serde_json::to_vec_pretty(&variables)?)?;
    for mut template in load(&root.join("template.yaml"), STACK_NAME)? {
        let StackTemplate { name, body, .. } = &mut template;
        for function in functions.iter().filter(|f| f.id.stack == *name) {
            // Under its own name, with absolute code and all its variables.
            let properties = &mut body["Resources"][&function.id.logical]["Properties"];
            properties["FunctionName"] = function.name.as_str().into();
            properties["CodeUri"] = root.join("target/lambda").join(&function.name).to_string_lossy().into();
            properties["Environment"] = json!({ "Variables": variables[function.name.as_str()] });
        }
        let place = template.path.strip_prefix(root).unwrap_or(&template.path);
        let place = stack.data().join(TEMPLATES).join(place);
        std::fs::create_dir_all(place.parent().unwrap_or(&place))?;
        // JSON is YAML too, and the nested stacks' locations stay true.
        files::replace(&place, &serde_json::to_vec_pretty(&template.body)?)?;
    }
    Ok(())
}

/// Becomes a program, with the variables that it has on the running stack if it is one of its functions. Comes back only if
/// that fails.
///
/// # Errors
/// If it is a function and no stack runs on the folder, or the program cannot be run.
pub fn exec(folder: &Path, program: &Path, arguments: &[OsString]) -> Result<(), Error> {
    let variables = folder.join(VARIABLES);
    let all: BTreeMap<String, BTreeMap<String, String>> = match std::fs::read(&variables) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotRunning(folder.to_owned()));
        }
        Err(e) => return Err(e.into()),
    };
    if !data::in_use(folder) {
        return Err(Error::NotRunning(folder.to_owned()));
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let own = all.get(name.as_ref()).ok_or_else(|| Error::NoResource(format!("function {name}")))?;
    Err(Command::new(program).args(arguments).envs(own).exec().into())
}
