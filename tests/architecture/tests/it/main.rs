//! Who may know whom, what a file may hold, and what may be linked in.

mod dependencies;
mod files;
mod storeys;
