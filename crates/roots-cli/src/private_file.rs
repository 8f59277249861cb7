//! Files of the program that only their owner can read.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use etcetera::base_strategy::Xdg;
use tempfile::NamedTempFile;

use crate::error::CliError;

/// The folders of the XDG base directory specification.
///
/// # Errors
///
/// If there is no home folder.
pub(crate) fn folders() -> Result<Xdg, CliError> {
    Xdg::new().map_err(|_| {
        CliError::Failed(
            "there is no home folder to keep files in: set HOME, or XDG_CONFIG_HOME and \
             XDG_STATE_HOME"
                .to_owned(),
        )
    })
}

/// Replaces a file by one that only its owner can read, in one step. Makes its folder if needed.
///
/// # Errors
///
/// If the file system refuses.
pub(crate) fn write_private(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    make_private_folder(folder)?;
    // A temporary file has the mode 0600.
    let mut written = NamedTempFile::new_in(folder)?;
    written.write_all(text)?;
    written.as_file().sync_all()?;
    written.persist(file)?;
    File::open(folder)?.sync_all()
}

/// Waits until no other process holds the lock of a file, and holds it. The lock is a file of its
/// own, since the file itself is replaced. It is released when it is closed, even if the process is
/// killed.
///
/// # Errors
///
/// If the file system refuses.
pub(crate) fn lock_of(file: &Path) -> Result<File, CliError> {
    let path = file.with_extension("lock");
    let locked = path.parent().map_or(Ok(()), make_private_folder).and_then(|()| {
        let lock = File::options().create(true).append(true).mode(0o600).open(&path)?;
        lock.lock().map(|()| lock)
    });
    locked.map_err(|error| CliError::file(path, "the file can't be locked", error))
}

/// Makes a folder that only its owner can enter, if it is not there.
///
/// # Errors
///
/// If the file system refuses.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
