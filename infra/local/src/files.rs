//! Small state files that a kill at any moment leaves whole.

use std::io;
use std::path::Path;

/// Replaces a file's content in one step: a reader sees the old content or the new.
///
/// # Errors
/// As the file system.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    std::fs::write(temporary, content)?;
    std::fs::rename(temporary, path)
}
