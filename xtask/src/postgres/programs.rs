//! Finds the `PostgreSQL` programs on this machine, or installs them.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::packages::{self, InstallError};
use crate::run::RunError;

/// The programs that the temporary server and the tests run.
const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_ctl", "pg_dump"];

/// Where packages install the programs outside the PATH: a folder, the prefix before the version in
/// the names of its subfolders, and the folder of the programs within those.
const PLACES: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The package managers that can install the programs without asking, with their scripts.
const MANAGERS: [(&str, &str); 3] = [
    (
        "apt-get",
        // Debian's package creates and starts a cluster. The setting prevents that during the
        // installation.
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
        "the tests need the PostgreSQL programs {}, which could not be installed: {reason}. \
         Install them, then run this again:
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
    /// Finds the programs. If they are missing, the system's package manager installs them.
    pub(crate) fn find_or_install() -> Result<Self, ProgramsError> {
        if let Some(programs) = Self::find(candidates()) {
            return Ok(programs);
        }
        install()?;
        let reason = "the package manager succeeded, but xtask can't find the programs".into();
        Self::find(candidates()).ok_or(ProgramsError::Missing { reason })
    }

    /// The first folder that has all programs, or has links into a folder that has them all.
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

/// The folders of the PATH, then the known places with the newest version first.
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

/// The version in a folder's name, as numbers; empty if the name is only the prefix.
fn version(name: &OsStr, prefix: &str) -> Option<Vec<u32>> {
    let version = name.to_str()?.strip_prefix(prefix)?;
    version.split('.').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

/// Installs the programs with the package manager.
fn install() -> Result<(), ProgramsError> {
    packages::install("PostgreSQL", &MANAGERS).map_err(|error| match error {
        InstallError::NotInstalled(reason) => ProgramsError::Missing { reason },
        InstallError::Run(error) => error.into(),
    })
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
    fn a_folder_without_all_programs_is_skipped() {
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
    fn a_link_is_followed_to_the_folder_of_all_programs() {
        let root = tempfile::tempdir().unwrap();
        let (linked, real) = (root.path().join("linked"), root.path().join("real"));
        with_programs(&linked, &[]);
        with_programs(&real, &NEEDED);
        symlink(real.join("initdb"), linked.join("initdb")).unwrap();
        assert_eq!(Programs::find([linked]).unwrap().folder(), real.canonicalize().unwrap());
    }

    #[test]
    fn the_newest_version_comes_first_and_other_folders_are_skipped() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["9.6", "15", "17", "common", "pgsql-16", "pgsql"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let found = newest_first([(root.path(), "", "bin"), (root.path(), "pgsql-", "")]);
        let expected =
            ["17/bin", "pgsql-16", "15/bin", "9.6/bin"].map(|folder| root.path().join(folder));
        // An empty tail leaves a slash at the end, which does not matter when paths are compared.
        assert_eq!(found, expected);
        assert_eq!(version("pgsql".as_ref(), "pgsql"), Some(vec![]));
    }

    #[test]
    fn the_error_names_the_programs_the_reason_and_the_packages() {
        let error = ProgramsError::Missing { reason: "no luck".into() }.to_string();
        assert!(error.contains("initdb, postgres, pg_ctl, pg_dump"), "{error}");
        assert!(
            error.contains("no luck") && error.contains("apt-get install postgresql"),
            "{error}"
        );
    }
}
