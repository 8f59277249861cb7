//! Examines the file of a SQLite database before SQLite opens it. SQLite's own messages name
//! neither the file nor a solution. It silently opens a backup beside another database's log, and a
//! file that it can't write to.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, Uid, faccessat};
use sea_orm::DbErr;

use super::sqlite;
use crate::errors;

/// With less free space it is not certain that the database can be written to. The write-ahead log
/// grows to 48 MiB and keeps that size, so writes may succeed even without free space.
const ROOM_FOR_CERTAIN_BYTES: u64 = 64 * 1024 * 1024;

/// The first bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The number of header bytes that are examined. Bytes 18 and 19 tell the journal mode.
const HEADER_BYTES: usize = 20;
/// The value of these two bytes without a write-ahead log, as in every backup.
const NO_LOG: [u8; 2] = [1, 1];

/// Why the file of a SQLite database can't be used. It displays as a sentence that names the file,
/// the error and the solution.
#[derive(Debug, thiserror::Error)]
#[error("the database file {} {kind}", .file.display())]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// The error.
    pub kind: FileErrorKind,
}

/// An error of the file of a SQLite database.
#[derive(Debug, thiserror::Error)]
pub enum FileErrorKind {
    /// It does not exist and may not be created.
    #[error(
        "does not exist: correct ROOTS_DATABASE_URL, or end it with ?mode=rwc to make a new database"
    )]
    Missing,
    /// It is a folder.
    #[error("is a folder: name a file in ROOTS_DATABASE_URL, such as roots.db in that folder")]
    Folder,
    /// It is another kind of file.
    #[error(
        "is no SQLite database: name another file in ROOTS_DATABASE_URL, or move this one away if a new database is to take its place"
    )]
    NotADatabase,
    /// This process has no permission to read and write it, or one of the files beside it.
    #[error(
        "can't be used: {} belongs to user {owner} with mode {mode:03o}, and user {user} may not read and write it. Run Roots as its owner, or change the owner or the mode", .path.display()
    )]
    Denied {
        /// The file without permission.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// The user that this process runs as.
        user: u32,
    },
    /// The file system is read-only.
    #[error(
        "lies on a file system that is read-only, and Roots writes to it even to read: mount it writable, or name another file in ROOTS_DATABASE_URL"
    )]
    ReadOnlyFileSystem,
    /// It is a backup, beside the log of the database that it replaces.
    #[error(
        "is a backup, and {} belongs to the database that it replaces: remove {} and any file of the same name that ends with -shm, then start again",
        .log.display(), .log.display()
    )]
    LogOfAnother {
        /// The log.
        log: PathBuf,
    },
    /// SQLite found its contents damaged.
    #[error(
        "is damaged: put a backup in its place, and remove the files of the same name that end with -wal and -shm"
    )]
    Damaged,
    /// The disk is full.
    #[error("can't be written, because the disk is full: make room and start again")]
    DiskFull,
    /// Another process is writing to it.
    #[error("is locked by another process: stop that process, then start again")]
    Locked,
    /// Anything else that the system reports.
    #[error("can't be opened ({0}): correct ROOTS_DATABASE_URL, or fix the reported problem")]
    System(io::Error),
}

impl FileError {
    /// Parses what the database's error says about the file.
    ///
    /// # Errors
    /// The same error, if it says nothing about the file.
    pub(super) fn of_error(file: &Path, error: DbErr) -> Result<Self, DbErr> {
        let kind = match errors::sqlite_code(&error) {
            Some(5 | 6) => FileErrorKind::Locked,
            Some(8 | 14) => match examine(file) {
                Err(kind) => kind,
                Ok(()) => return Err(error),
            },
            Some(11) => FileErrorKind::Damaged,
            Some(13) => FileErrorKind::DiskFull,
            Some(26) => FileErrorKind::NotADatabase,
            _ => return Err(error),
        };
        Ok(Self { file: file.to_owned(), kind })
    }
}

/// Whether there is certainly enough space to write to the file, according to the file system.
pub(super) fn has_room(file: &Path) -> bool {
    statvfs(folder_of(file)).is_ok_and(|stats| {
        let room = stats.blocks_available().saturating_mul(stats.fragment_size());
        room >= ROOM_FOR_CERTAIN_BYTES && !stats.flags().contains(FsFlags::ST_RDONLY)
    })
}

/// Creates the file if it is missing and may be created, and examines it. It must not be open in
/// this process: closing it here would release the locks that SQLite holds on it.
///
/// # Errors
/// Why it can't be used.
pub(super) fn prepare(file: &Path, may_create: bool) -> Result<(), FileError> {
    let failed = |kind| FileError { file: file.to_owned(), kind };
    match fs::metadata(file) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !may_create {
                return Err(failed(FileErrorKind::Missing));
            }
            sqlite::make_file(file).map_err(|error| failed(of_system(file, error)))?;
            tracing::info!(file = %file.display(), "created a new database, because there was none");
        }
        Err(error) => return Err(failed(of_system(file, error))),
    }
    examine(file).map_err(failed)
}

fn examine(file: &Path) -> Result<(), FileErrorKind> {
    // SQLite keeps the log beside the file, not beside a link to it.
    let file = &fs::canonicalize(file).map_err(|error| of_system(file, error))?;
    if file.is_dir() {
        return Err(FileErrorKind::Folder);
    }
    let folder = folder_of(file);
    let [log, index] = ["-wal", "-shm"].map(|suffix| beside(file, suffix));
    let files = [file, &log, &index].into_iter();
    for path in files.filter(|path| fs::symlink_metadata(path).is_ok()) {
        may_write(path, AccessFlags::R_OK)?;
    }
    may_write(folder, AccessFlags::X_OK)?;
    let header = header(file).map_err(|error| of_system(file, error))?;
    // An empty file becomes a database.
    if !header.is_empty() && !header.starts_with(MAGIC) {
        return Err(FileErrorKind::NotADatabase);
    }
    let is_backup = header.get(18..HEADER_BYTES).is_some_and(|bytes| bytes == NO_LOG);
    if is_backup && fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(FileErrorKind::LogOfAnother { log });
    }
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

fn header(file: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    File::open(file)?.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    Ok(header)
}

/// Checks that this process may write to a file or folder, and has the access `besides`.
fn may_write(path: &Path, besides: AccessFlags) -> Result<(), FileErrorKind> {
    let wanted = AccessFlags::W_OK | besides;
    faccessat(AT_FDCWD, path, wanted, AtFlags::AT_EACCESS)
        .map_err(|errno| of_system(path, errno.into()))
}

fn of_system(path: &Path, error: io::Error) -> FileErrorKind {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EROFS) => FileErrorKind::ReadOnlyFileSystem,
        Some(Errno::ENOSPC | Errno::EDQUOT) => FileErrorKind::DiskFull,
        Some(Errno::EACCES | Errno::EPERM) => denied(path).unwrap_or(FileErrorKind::System(error)),
        _ => FileErrorKind::System(error),
    }
}

/// Describes the nearest file or folder on the path that can be examined.
fn denied(path: &Path) -> Option<FileErrorKind> {
    let (path, found) = path
        .ancestors()
        .map(|part| if part.as_os_str().is_empty() { Path::new(".") } else { part })
        .find_map(|part| Some((part, fs::metadata(part).ok()?)))?;
    let (owner, mode) = (found.uid(), found.mode() & 0o777);
    Some(FileErrorKind::Denied {
        path: path.to_owned(),
        owner,
        mode,
        user: Uid::effective().as_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_OF_A_BACKUP: &[u8] = b"SQLite format 3\0\x10\x00\x01\x01";
    const HEADER_IN_USE: &[u8] = b"SQLite format 3\0\x10\x00\x02\x02";

    fn message_of(file: &Path, may_create: bool) -> String {
        prepare(file, may_create).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_by_name_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("folder")).unwrap();
        fs::write(place("text"), "no database at all, but a text").unwrap();
        fs::write(place("short"), "SQLite").unwrap();
        for (name, expected) in [
            ("folder", "is a folder"),
            ("text", "is no SQLite database"),
            ("short", "is no SQLite database"),
            ("missing", "does not exist"),
            ("text/below", "can't be opened"),
        ] {
            let message = message_of(&place(name), false);
            assert!(message.starts_with(&format!("the database file {}", place(name).display())));
            assert!(message.contains(expected), "{name}: {message}");
        }
        assert_eq!(fs::read(place("short")).unwrap(), b"SQLite");
        assert!(!place("missing").exists());
        assert_eq!(message_of(&place("new/roots.db"), true), "");
        assert_eq!(message_of(&place("new/roots.db"), false), "");
    }

    #[test]
    fn a_backup_beside_the_log_of_another_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.db");
        let log = folder.path().join("roots.db-wal");
        for (header, log_bytes, is_refused) in [
            (HEADER_OF_A_BACKUP, Some(&b"a log"[..]), true),
            (HEADER_OF_A_BACKUP, Some(&b""[..]), false),
            (HEADER_OF_A_BACKUP, None, false),
            (HEADER_IN_USE, Some(&b"a log"[..]), false),
        ] {
            fs::write(&file, header).unwrap();
            match log_bytes {
                Some(bytes) => fs::write(&log, bytes).unwrap(),
                None => fs::remove_file(&log).unwrap(),
            }
            let message = message_of(&file, true);
            assert_eq!(message.contains("roots.db-wal"), is_refused, "{message}");
            assert_eq!(!message.is_empty(), is_refused, "{message}");
            if let Some(bytes) = log_bytes {
                assert_eq!(fs::read(&log).unwrap(), bytes);
            }
            if log_bytes.is_none() {
                fs::write(&log, "").unwrap();
            }
        }
    }
}
