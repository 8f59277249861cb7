//! Files of other programs, read and written so that no reader ever sees half a text.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::setup::error::SetupError;

/// The text of a file, or `None` if there is none.
///
/// # Errors
///
/// [`SetupError::Dangling`] for a link to nothing, [`SetupError::Unfit`] for what is no file,
/// [`SetupError::Unreadable`] for what is no UTF-8, [`SetupError::Io`] for the rest.
pub(crate) fn read(path: &Path) -> Result<Option<String>, SetupError> {
    // A pipe would be waited for.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let reason = "it is not a regular file".to_owned();
        return Err(SetupError::Unfit { path: path.to_owned(), reason });
    }
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|error| SetupError::Unreadable {
            path: path.to_owned(),
            format: "UTF-8",
            reason: error.utf8_error().to_string(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(SetupError::Dangling { path: path.to_owned() });
            }
            Ok(None)
        }
        Err(error) => Err(io_error(path, "read", error)),
    }
}

/// Refuses a file that is not in the folder once all links are followed. Neither the file nor its
/// folders need to be there.
///
/// # Errors
///
/// [`SetupError::Outside`], or [`SetupError::Dangling`] for a link to nothing.
pub(crate) fn check_inside(path: &Path, folder: &Path) -> Result<(), SetupError> {
    let [folder, real] = [real_place(folder)?, real_place(path)?];
    if real.starts_with(folder) {
        return Ok(());
    }
    Err(SetupError::Outside { path: path.to_owned(), real })
}

/// Where a file is, or would be, once all links are followed.
fn real_place(path: &Path) -> Result<PathBuf, SetupError> {
    for known in path.ancestors() {
        match fs::canonicalize(known) {
            Ok(real) => {
                let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs::symlink_metadata(known).is_ok() {
                    return Err(SetupError::Dangling { path: known.to_owned() });
                }
            }
            Err(error) => return Err(io_error(known, "read", error)),
        }
    }
    Ok(path.to_owned())
}

/// Refuses a file that may not be written.
///
/// # Errors
///
/// [`SetupError::ReadOnly`]
pub(crate) fn check_writable(path: &Path) -> Result<(), SetupError> {
    let read_only = || SetupError::ReadOnly { path: path.to_owned() };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(|error| io_error(path, "read", error))?,
    };
    // The superuser may open a read-only file, but its owner meant it.
    if metadata.permissions().readonly() {
        return Err(read_only());
    }
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(read_only()),
        Err(error) => Err(io_error(path, "written", error)),
        Ok(_) => Ok(()),
    }
}

/// Replaces the text of a file in one step, or makes the file and its folders. A link stays a link,
/// and the file keeps its mode.
///
/// # Errors
///
/// [`SetupError::Changed`] if the text is no longer `before`, otherwise see [`SetupError`].
pub(crate) fn write(path: &Path, before: Option<&str>, after: &str) -> Result<(), SetupError> {
    check_writable(path)?;
    let real = real_path(path, before)?;
    let folder = real.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| io_error(folder, "made", error))?;
    let written = |error| io_error(path, "written", error);
    let permissions = permissions_of(&real).map_err(written)?;
    let mut builder = Builder::new();
    builder.prefix(".roots-").permissions(permissions.clone());
    let mut file = builder.tempfile_in(folder).map_err(written)?;
    file.write_all(after.as_bytes()).map_err(written)?;
    if before.is_some() {
        // The mode that a file is made with is cut by the umask.
        file.as_file().set_permissions(permissions).map_err(written)?;
    }
    file.as_file().sync_all().map_err(written)?;
    if read(path)?.as_deref() != before {
        return Err(SetupError::Changed { path: path.to_owned() });
    }
    file.persist(&real).map_err(|error| written(error.error))?;
    sync_folder(folder);
    Ok(())
}

/// Deletes a file that setup made, and the folders that are empty without it.
///
/// # Errors
///
/// See [`write()`].
pub(crate) fn delete(path: &Path, before: &str) -> Result<(), SetupError> {
    check_writable(path)?;
    if read(path)?.as_deref() != Some(before) {
        return Err(SetupError::Changed { path: path.to_owned() });
    }
    let deleted = |error| io_error(path, "deleted", error);
    let real = fs::canonicalize(path).map_err(deleted)?;
    fs::remove_file(&real).map_err(deleted)?;
    if fs::symlink_metadata(path).is_ok() {
        // It was a link, which leads to nothing now.
        fs::remove_file(path).map_err(deleted)?;
    }
    // `.cursor/rules`, then `.cursor`. A folder with files refuses.
    let mut folder = path.parent();
    while let Some(one) = folder.filter(|one| FOLDERS.iter().any(|name| one.ends_with(name))) {
        if fs::remove_dir(one).is_err() {
            break;
        }
        folder = one.parent();
    }
    Ok(())
}

/// The folders that setup makes for programs.
const FOLDERS: [&str; 5] = [".claude", ".codex", ".cursor", ".cursor/rules", ".gemini"];

/// The file that a link leads to.
fn real_path(path: &Path, before: Option<&str>) -> Result<PathBuf, SetupError> {
    match before {
        Some(_) => fs::canonicalize(path).map_err(|error| io_error(path, "read", error)),
        None => Ok(path.to_owned()),
    }
}

/// The mode that the file has, or that a new one gets before the umask.
fn permissions_of(path: &Path) -> io::Result<fs::Permissions> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(fs::Permissions::from_mode(0o666)),
        Err(error) => Err(error),
    }
}

/// Makes the new name durable. A system that can't do it for folders does it by itself.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        drop(folder.sync_all());
    }
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> SetupError {
    SetupError::Io { path: path.to_owned(), action, source }
}
