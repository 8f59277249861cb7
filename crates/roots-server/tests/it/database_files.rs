//! Files that can't be the database. The program refuses them with a sentence that names the file
//! and the solution, and changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::unistd::Uid;

use crate::program::{WorkFolder, finish, text};

/// A user other than root. Root may read and write every file.
const NOBODY: u32 = 65_534;

/// The user that the program runs as: the one of this process, but never root.
fn program_user() -> u32 {
    if Uid::effective().is_root() { NOBODY } else { Uid::effective().as_raw() }
}

/// Runs the program as [`program_user`], which owns the folder.
fn run(folder: &WorkFolder, args: &[&str]) -> Output {
    let mut command = folder.command(args);
    if Uid::effective().is_root() {
        chown_all(folder.path(), NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    finish(command)
}

/// Makes a user the owner of a folder and of everything in it. Links are not followed.
fn chown_all(path: &Path, user: u32) {
    lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            chown_all(&entry.unwrap().path(), user);
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder whose database holds an account, and the path of the database file.
fn with_database() -> (WorkFolder, PathBuf) {
    let folder = WorkFolder::new();
    folder.bootstrap(&[]);
    let file = folder.path().join("data/roots.db");
    (folder, file)
}

/// Every command that needs the database fails with one sentence that contains all `parts`.
fn assert_refused(folder: &WorkFolder, parts: &[&str]) {
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
    assert_refused(&folder, &["data/roots.db is a folder", "name a file in ROOTS_DATABASE_URL"]);
}

#[test]
fn a_text_file_as_the_database_is_refused_and_left_unchanged() {
    let folder = WorkFolder::new();
    let file = folder.path().join("data/roots.db");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&file, "something dear").unwrap();
    assert_refused(&folder, &["data/roots.db is no SQLite database", "move this one away"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "something dear");
}

#[test]
fn a_damaged_database_is_refused() {
    let (folder, file) = with_database();
    let mut bytes = fs::read(&file).unwrap();
    // The header of 100 bytes stays valid. The pages behind it are garbage.
    bytes[100..].fill(0xaa);
    fs::write(&file, bytes).unwrap();
    assert_refused(&folder, &["data/roots.db is damaged", "put a backup in its place"]);
}

#[test]
fn a_database_without_write_permission_is_refused() {
    let (folder, file) = with_database();
    chmod(&file, 0o444);
    assert_refused(
        &folder,
        &["data/roots.db can't be used", "mode 444", "change the owner or the mode"],
    );
    chmod(&file, 0o600);
    // SQLite needs to create files in the folder too.
    let data = folder.path().join("data");
    chmod(&data, 0o555);
    assert_refused(&folder, &["data/roots.db can't be used", "data belongs to", "mode 555"]);
    chmod(&data, 0o700);
    assert!(run(&folder, &["verify"]).status.success());
}

#[test]
fn a_database_of_another_user_is_refused() {
    // Every system has this file. The program checks permissions before it reads the content.
    let foreign = fs::canonicalize("/etc/passwd").unwrap();
    let (user, found) = (program_user(), fs::metadata(&foreign).unwrap());
    let (owner, mode) = (found.uid(), found.mode() & 0o777);
    assert_ne!(owner, user, "run this test as a user that does not own {}", foreign.display());
    let folder = WorkFolder::new();
    fs::create_dir(folder.path().join("data")).unwrap();
    symlink(&foreign, folder.path().join("data/roots.db")).unwrap();
    let belongs = format!("{} belongs to user {owner} with mode {mode:03o}", foreign.display());
    assert_refused(&folder, &[&belongs, &format!("and user {user} may not")]);
}

#[tokio::test]
async fn a_backup_beside_the_wal_of_another_database_is_refused() {
    let folder = WorkFolder::new();
    let (key, _) = folder.bootstrap(&[]);
    let file = folder.path().join("data/roots.db");
    let backup = folder.path().join("backup.db");
    assert!(folder.run(&["backup", "backup.db"]).status.success());
    let log = file.with_file_name("roots.db-wal");
    // A killed server leaves its WAL behind.
    let mut server = folder.serve();
    assert!(server.client(&key).log_activity("after the backup").await);
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.end();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    let before = fs::read(&log).unwrap();
    fs::copy(&backup, &file).unwrap();
    let names_it = format!("remove {}", log.display());
    assert_refused(&folder, &["data/roots.db is a backup", &names_it, "then start again"]);
    assert_eq!(fs::read(&log).unwrap(), before);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&backup).unwrap());

    // The solution in the message works.
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
    // The first start creates the database and logs that. The second start logs nothing.
    for times in [1, 0] {
        let server = folder.serve();
        let made = server.logged("created a new database");
        assert_eq!(made.len(), times, "{made:?}");
        assert!(made.iter().all(|line| line["file"].as_str().unwrap().ends_with("data/roots.db")));
        server.stop();
    }
}

#[test]
fn a_percent_escape_in_the_database_url_is_decoded() {
    let outer = WorkFolder::new();
    let with_space = format!("sqlite://{}/with%20space.db?mode=rwc", outer.path().display());
    let folder = WorkFolder::on(with_space);
    folder.bootstrap(&[]);
    assert!(outer.path().join("with space.db").exists());
    assert!(!outer.path().join("with%20space.db").exists());
    assert!(folder.run(&["verify"]).status.success());
}
