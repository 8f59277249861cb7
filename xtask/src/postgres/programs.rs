//! Where `PostgreSQL`'s programs are on this machine, and how they get there.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd;

use crate::run::{self, RunError};

/// What the throw-away server and the tests run.
const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_ctl", "pg_dump"];

/// Where packages put them, off the PATH: a folder, what the folders in it begin with before the version, and where
/// in those the programs are.
const PLACES: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The package managers that we know to install them without a question, each with the script for it.
const MANAGERS: [(&str, &str); 3] = [
    (
        "apt-get",
        // Debian's package makes and starts a server of its own, unless told not to; told so for as long as it takes.
        "export DEBIAN_FRONTEND=noninteractive
        install='apt-get --quiet install --yes --no-install-recommends -o DPkg::Lock::Timeout=120'
        conf=/etc/postgresql-common/createcluster.conf
        apt-get --quiet update
        $install postgresql-common
        cp -p $conf $conf.roots
        trap 'mv -f $conf.roots $conf' EXIT
        echo 'create_main_cluster = false' >>$conf
        $install postgresql",
    ),
    ("dnf", "dnf install --assumeyes postgresql-server"),
    ("apk", "apk add postgresql postgresql-client"),
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramsError {
    #[error(
        "the tests need PostgreSQL's programs ({}), and they could not be installed here: {reason}. \
         Install them, and run this again:
  Debian, Ubuntu: apt-get install postgresql
  Fedora:         dnf install postgresql-server
  Alpine:         apk add postgresql postgresql-client
  Arch:           pacman -S postgresql
  macOS:          brew install postgresql@17",
        NEEDED.join(", ")
    )]
    Missing { reason: String },
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A folder that holds all the programs of one `PostgreSQL`.
#[derive(Debug, PartialEq)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds them, and where they are missing lets the system's package manager install them.
    pub(crate) fn find_or_install() -> Result<Self, ProgramsError> {
        if let Some(programs) = Self::find(candidates()) {
            return Ok(programs);
        }
        install()?;
        let reason = "the package manager did, but not in a place known to this program".into();
        Self::find(candidates()).ok_or(ProgramsError::Missing { reason })
    }

    /// The first of the folders that has all of them, directly or through links to where they are.
    fn find(folders: impl IntoIterator<Item = PathBuf>) -> Option<Self> {
        let complete = |folder: &PathBuf| NEEDED.iter().all(|name| folder.join(name).is_file());
        let linked = |folder: &PathBuf| {
            Some(folder.join(NEEDED[0]).canonicalize().ok()?.parent()?.to_owned())
        };
        let mut places =
            folders.into_iter().flat_map(|folder| [linked(&folder), Some(folder)]).flatten();
        places.find(complete).map(|folder| Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The PATH first, then the known places, the newest version first.
fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = PLACES.iter().map(|(parent, prefix, tail)| (Path::new(parent), *prefix, *tail));
    env::split_paths(&path).chain(newest_first(places)).collect()
}

fn newest_first<'a>(
    places: impl IntoIterator<Item = (&'a Path, &'a str, &'a str)>,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix, tail) in places {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if let Some(version) = version(&entry.file_name(), prefix) {
                found.push((version, entry.path().join(tail)));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The version in a folder's name, as numbers; empty for a name that ends with the prefix.
fn version(name: &OsStr, prefix: &str) -> Option<Vec<u32>> {
    let version = name.to_str()?.strip_prefix(prefix)?;
    version.split('.').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

/// Lets the package manager install them, as root or by a `sudo` that asks no password.
fn install() -> Result<(), ProgramsError> {
    let missing = |reason: String| ProgramsError::Missing { reason };
    let on_path = |name: &str| {
        env::var_os("PATH")
            .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
    };
    let Some((manager, script)) = MANAGERS.iter().find(|(manager, _)| on_path(manager)) else {
        return Err(missing("none of apt-get, dnf and apk is here".into()));
    };
    let mut command = if unistd::geteuid().is_root() {
        Command::new("sh")
    } else if on_path("sudo") && may_sudo() {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        return Err(missing(format!("{manager} needs root, or a sudo without a password")));
    };
    println!("PostgreSQL's programs are missing; {manager} installs them");
    run::run(command.args(["-e", "-c", script])).map_err(|error| match error {
        RunError::Failed { status, .. } => missing(format!("{manager} failed ({status})")),
        other => other.into(),
    })
}

fn may_sudo() -> bool {
    run::output(Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null())).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn with_programs(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn a_folder_that_lacks_one_of_them_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let (bare, partial, full) =
            (root.path().join("bare"), root.path().join("partial"), root.path().join("full"));
        with_programs(&bare, &[]);
        with_programs(&partial, &["initdb", "postgres", "pg_ctl"]);
        assert_eq!(Programs::find([bare.clone(), partial.clone()]), None);

        with_programs(&full, &NEEDED);
        let found = Programs::find([bare, partial, full.clone()]);
        assert_eq!(found.unwrap().folder(), full.canonicalize().unwrap());
    }

    #[test]
    fn a_link_leads_to_where_all_of_them_are() {
        let root = tempfile::tempdir().unwrap();
        let (linked, real) = (root.path().join("linked"), root.path().join("real"));
        with_programs(&linked, &[]);
        with_programs(&real, &NEEDED);
        symlink(real.join("initdb"), linked.join("initdb")).unwrap();
        assert_eq!(Programs::find([linked]).unwrap().folder(), real.canonicalize().unwrap());
    }

    #[test]
    fn the_newest_version_comes_first_and_strangers_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["9.6", "15", "17", "common", "pgsql-16", "pgsql"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let found = newest_first([(root.path(), "", "bin"), (root.path(), "pgsql-", "")]);
        let expected =
            ["17/bin", "pgsql-16", "15/bin", "9.6/bin"].map(|folder| root.path().join(folder));
        // A tail of nothing leaves a slash at the end, which comparing paths does not heed.
        assert_eq!(found, expected);
        assert_eq!(version("pgsql".as_ref(), "pgsql"), Some(vec![]));
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_install() {
        let told = ProgramsError::Missing { reason: "no luck".into() }.to_string();
        assert!(told.contains("initdb, postgres, pg_ctl, pg_dump"), "{told}");
        assert!(told.contains("no luck") && told.contains("apt-get install postgresql"), "{told}");
    }
}
