//! The data folder: one stack at a time, and only a folder of ours is ever emptied.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::options::DataDir;
use crate::{Error, StackFile};

const LOCK: &str = "lock";

/// An open data folder. The lock goes with the process, so a killed stack leaves none behind.
pub(crate) struct Data {
    path: PathBuf,
    _lock: File,
    _temporary: Option<tempfile::TempDir>,
}

impl Data {
    pub(crate) fn open(dir: &DataDir) -> Result<Self, Error> {
        let (path, temporary) = match dir {
            DataDir::Path(path) => (path.clone(), None),
            DataDir::Temp => {
                let folder = tempfile::Builder::new().prefix("piecework-").tempdir()?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        std::fs::create_dir_all(&path)?;
        let path = path.canonicalize()?;
        let lock = lock_patiently(&path)?;
        StackFile::remove(&path);
        // What sandboxes of a killed stack left behind.
        match std::fs::remove_dir_all(path.join("sandboxes")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        for folder in ["sandboxes", "checkpoints", "objects", "snapshots"] {
            std::fs::create_dir_all(path.join(folder))?;
        }
        Ok(Self { path, _lock: lock, _temporary: temporary })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Whoever asks whether a stack is running holds the lock for an instant; that is no stack.
fn lock_patiently(path: &Path) -> Result<File, Error> {
    for _ in 0..20 {
        match lock(path) {
            Err(Error::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            outcome => return outcome,
        }
    }
    lock(path)
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).truncate(false).write(true).open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(e.into()),
    }
}

/// Whether a stack runs on the folder.
pub(crate) fn in_use(path: &Path) -> bool {
    path.join(LOCK).exists() && matches!(lock(path), Err(Error::Locked(_)))
}

/// Empties a data folder.
pub(crate) fn clear(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    let mut entries = path.read_dir()?.collect::<Result<Vec<_>, _>>()?;
    if entries.is_empty() {
        return Ok(());
    }
    if !path.join(LOCK).is_file() {
        let reason = format!("{} was not made by a stack, so it is not deleted", path.display());
        return Err(Error::DataDir(reason));
    }
    let _lock = lock(path)?;
    entries.retain(|e| e.file_name() != LOCK);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_one_stack_at_a_time_and_a_dead_ones_lock_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::Path(folder.path().join("data"));
        let first = Data::open(&dir).unwrap();
        assert!(matches!(Data::open(&dir), Err(Error::Locked(_))));
        assert!(in_use(first.path()));
        assert!(matches!(clear(first.path()), Err(Error::Locked(_))));
        drop(first);
        let again = Data::open(&dir).unwrap();
        let path = again.path().to_owned();
        drop(again);
        assert!(!in_use(&path));
        clear(&path).unwrap();
        assert_eq!(path.read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_ours_is_never_emptied() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.tex"), "…").unwrap();
        assert!(matches!(clear(folder.path()), Err(Error::DataDir(_))));
        assert!(folder.path().join("thesis.tex").exists());
    }
}
