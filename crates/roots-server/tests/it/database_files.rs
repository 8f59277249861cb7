//! Files that can't be the database: the start is refused, in a sentence that names the file and
//! the way out, and nothing is touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::unistd::Uid;

use crate::program::{WorkFolder, finish, text};

/// A user that is not root, for whom permissions count.
const NOBODY: u32 = 65_534;

/// Runs the program as a user for whom permissions count, to whom the folder belongs.
fn run(folder: &WorkFolder, args: &[&str]) -> Output {
    let mut command = folder.command(args);
    if Uid::effective().is_root() {
        give(folder.path(), NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    finish(command)
}

/// Gives a folder and all that it holds to a user, except the file that stays root's.
fn give(path: &Path, user: u32) {
    if path.file_name().is_some_and(|name| name != "roots-own.db") {
        lchown(path, Some(user), Some(user)).unwrap();
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder whose database holds an account, and its file.
fn with_database() -> (WorkFolder, PathBuf) {
    let folder = WorkFolder::new();
    folder.bootstrap(&[]);
    let file = folder.path().join("data/roots.db");
    (folder, file)
}

/// Every command that needs the database refuses it in one sentence with all of these.
fn is_refused(folder: &WorkFolder, parts: &[&str]) {
    for args in [&[][..], &["migrate"], &["verify"], &["backup", "copy.db"]] {
        let refused = run(folder, args);
        let sentence = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {sentence}");
        assert!(
            sentence.starts_with("roots-server: The database file ") && sentence.ends_with(".\n"),
            "{args:?}: {sentence}"
        );
        for part in parts {
            assert!(sentence.contains(part), "{args:?}: {part} is not in {sentence}");
        }
    }
    assert!(!folder.operator_file().exists());
    assert!(!folder.path().join("copy.db").exists());
}

#[test]
fn a_folder_as_the_database_file_is_refused() {
    let folder = WorkFolder::new();
    fs::create_dir_all(folder.path().join("data/roots.db")).unwrap();
    is_refused(&folder, &["data/roots.db is a folder", "name a file in ROOTS_DATABASE_URL"]);
}

#[test]
fn a_text_as_the_database_file_is_refused_and_left_unchanged() {
    let folder = WorkFolder::new();
    let file = folder.path().join("data/roots.db");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&file, "something dear").unwrap();
    is_refused(&folder, &["data/roots.db is no SQLite database", "move this one away"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "something dear");
}

#[test]
fn a_damaged_database_is_refused() {
    let (folder, file) = with_database();
    let mut bytes = fs::read(&file).unwrap();
    // The header stays: what it leads to makes no sense.
    bytes[100..].fill(0xaa);
    fs::write(&file, bytes).unwrap();
    is_refused(&folder, &["data/roots.db is damaged", "put a backup in its place"]);
}

#[test]
fn a_database_that_may_not_be_written_is_refused() {
    let (folder, file) = with_database();
    chmod(&file, 0o444);
    is_refused(
        &folder,
        &["data/roots.db can't be used", "mode 444", "change the owner or the mode"],
    );
    chmod(&file, 0o600);
    // Nor may the folder be one in which no file can be made.
    let data = folder.path().join("data");
    chmod(&data, 0o555);
    is_refused(&folder, &["data/roots.db can't be used", "data belongs to", "mode 555"]);
    chmod(&data, 0o700);
    assert!(run(&folder, &["verify"]).status.success());
}

#[test]
fn a_database_of_another_user_is_refused() {
    if !Uid::effective().is_root() {
        // No other than root can give a file away; `a_database_that_may_not_be_written_is_refused`
        // takes the same way through the program.
        return;
    }
    let (folder, file) = with_database();
    let own = file.with_file_name("roots-own.db");
    fs::rename(&file, &own).unwrap();
    std::os::unix::fs::symlink("roots-own.db", &file).unwrap();
    is_refused(
        &folder,
        &["roots-own.db belongs to user 0 with mode 600", "and user 65534 may not"],
    );
}

#[tokio::test]
async fn a_backup_beside_the_log_of_the_database_before_it_is_refused() {
    let folder = WorkFolder::new();
    let (key, _) = folder.bootstrap(&[]);
    let file = folder.path().join("data/roots.db");
    let backup = folder.path().join("backup.db");
    assert!(folder.run(&["backup", "backup.db"]).status.success());
    let log = file.with_file_name("roots.db-wal");
    // The server is killed, and leaves its log.
    let mut server = folder.serve();
    assert!(server.client(&key).log_activity("after the backup").await);
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.end();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    let before = fs::read(&log).unwrap();
    fs::copy(&backup, &file).unwrap();
    let names_it = format!("remove {}", log.display());
    is_refused(&folder, &["data/roots.db is a backup", &names_it, "then start again"]);
    assert_eq!(fs::read(&log).unwrap(), before);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&backup).unwrap());

    // The way out leads out.
    fs::remove_file(&log).unwrap();
    fs::remove_file(file.with_file_name("roots.db-shm")).unwrap();
    let proved = run(&folder, &["verify"]);
    assert!(text(&proved.stdout).starts_with("1 account was verified"), "{}", text(&proved.stderr));
}

#[test]
fn a_missing_database_is_reported_and_a_newly_made_one_is_logged() {
    let folder = WorkFolder::new();
    for args in [&["verify"][..], &["backup", "copy.db"]] {
        let refused = folder.run(args);
        let message = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(
            message.contains("data/roots.db does not exist: correct ROOTS_DATABASE_URL"),
            "{message}"
        );
    }
    assert!(!folder.path().join("data").exists());
    // Where it may be made, the log says that it was, and only then.
    for times in [1, 0] {
        let server = folder.serve();
        let made = server.logged("created a new database");
        assert_eq!(made.len(), times, "{made:?}");
        assert!(made.iter().all(|line| line["file"].as_str().unwrap().ends_with("data/roots.db")));
        server.stop();
    }
}

#[test]
fn escapes_in_a_url_are_read_as_the_driver_reads_them() {
    let outer = WorkFolder::new();
    let with_space = format!("sqlite://{}/with%20space.db?mode=rwc", outer.path().display());
    let folder = WorkFolder::on(with_space);
    folder.bootstrap(&[]);
    assert!(outer.path().join("with space.db").exists());
    assert!(!outer.path().join("with%20space.db").exists());
    assert!(folder.run(&["verify"]).status.success());
}
