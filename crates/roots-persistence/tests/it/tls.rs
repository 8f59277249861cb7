//! Connections to PostgreSQL over TLS, with certificates that the test makes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::unistd::{User, geteuid};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use roots_domain::port::store::AccountReader;
use roots_persistence::{DatabaseUrl, OpenError, Store, TlsError};
use roots_testkit::ambient::TestClock;
use roots_testkit::postgres;
use tempfile::TempDir;

/// How many ports are tried, because another process may take a free port first.
const ATTEMPTS: usize = 4;
/// A password that no message may contain. The server does not ask for it.
const PASSWORD: &str = "hunter2";

/// A server that accepts only encrypted connections. Its certificate is for `localhost`.
struct TlsServer {
    folder: TempDir,
    user: Option<User>,
    port: u16,
}

impl TlsServer {
    fn start() -> Self {
        // PostgreSQL refuses to run as root.
        let user = geteuid().is_root().then(|| {
            let found = ["postgres", "nobody"].map(|name| User::from_name(name).unwrap());
            found.into_iter().flatten().next().expect("a user to run PostgreSQL as")
        });
        let folder = tempfile::Builder::new().prefix("roots-tls-").tempdir_in("/tmp").unwrap();
        let mut server = Self { folder, user, port: 0 };
        server.own(server.folder.path());
        let made = server
            .program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"])
            .args(["--no-sync", "--pgdata"])
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        server.make_certificates();
        let encrypted_only = "hostssl all all 127.0.0.1/32 trust\n";
        fs::write(server.data().join("pg_hba.conf"), encrypted_only).unwrap();
        let settings = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
            fsync = off\nssl = on\nssl_cert_file = '../server.pem'\nssl_key_file = '../server.key'\n";
        let file = server.data().join("postgresql.conf");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, before + settings).unwrap();
        let log = server.folder.path().join("log");
        for _ in 0..ATTEMPTS {
            server.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let port = format!("-p {}", server.port);
            let mut start = server.program("pg_ctl");
            start.arg("start").arg("--pgdata").arg(server.data()).arg("--log").arg(&log);
            if start.args(["--wait", "--options", &port]).status().unwrap().success() {
                return server;
            }
        }
        panic!("no PostgreSQL: {}", fs::read_to_string(log).unwrap_or_default());
    }

    /// Makes `ca.pem`, `server.pem` and `server.key`, and `other.pem` of an unrelated issuer.
    fn make_certificates(&self) {
        let path = |name: &str| self.folder.path().join(name);
        let issuer = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap(), Issuer::new(params, key))
        };
        let ((ca, issuing), (other, _)) = (issuer(), issuer());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuing).unwrap();
        fs::write(path("ca.pem"), ca.pem()).unwrap();
        fs::write(path("other.pem"), other.pem()).unwrap();
        fs::write(path("server.pem"), certificate.pem()).unwrap();
        fs::write(path("server.key"), key.serialize_pem()).unwrap();
        fs::set_permissions(path("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        self.own(&path("server.pem"));
        self.own(&path("server.key"));
    }

    fn own(&self, path: &Path) {
        if let Some(user) = &self.user {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(postgres::program(name));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Opens the database with that host and parameters, in which `{}` stands for the folder.
    async fn open(&self, host: &str, parameters: &str) -> Result<Store, OpenError> {
        let parameters = parameters.replace("{}", &self.folder.path().display().to_string());
        let port = self.port;
        open(&format!("postgres://postgres:{PASSWORD}@{host}:{port}/postgres?{parameters}")).await
    }

    async fn error(&self, host: &str, parameters: &str) -> TlsError {
        error(self.open(host, parameters).await)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("stop").arg("--pgdata").arg(self.data());
        let _ = stop.args(["--wait", "--mode", "immediate"]).output();
    }
}

async fn open(url: &str) -> Result<Store, OpenError> {
    let clock = Arc::new(TestClock::default());
    Store::open(&DatabaseUrl::parse(url).unwrap(), clock).await
}

fn error(opened: Result<Store, OpenError>) -> TlsError {
    match opened {
        Err(error @ OpenError::Tls(_)) => {
            let message = format!("{error} {error:?}");
            assert!(!message.contains(PASSWORD) && !message.contains('\n'), "{message}");
            let OpenError::Tls(error) = error else { unreachable!() };
            error
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_issuer_and_its_name() {
    let server = TlsServer::start();
    // The server accepts only encrypted connections.
    let plain = server.open("localhost", "sslmode=disable").await;
    assert!(matches!(plain.err(), Some(OpenError::Database(_))));
    let store =
        server.open("localhost", "sslmode=verify-full&sslrootcert={}/ca.pem").await.unwrap();
    store.migrate().await.unwrap();
    assert!(!store.has_accounts().await.unwrap());
    store.close().await;

    // The certificate is not for this address.
    let trusted = "sslrootcert={}/ca.pem";
    let by_address = server.error("127.0.0.1", &format!("sslmode=verify-full&{trusted}")).await;
    assert_eq!(by_address, TlsError::OtherName);
    assert!(server.open("127.0.0.1", &format!("sslmode=verify-ca&{trusted}")).await.is_ok());

    // The issuer is unknown, or only another one is trusted.
    for mode in ["verify-full", "verify-ca"] {
        let unknown = server.error("localhost", &format!("sslmode={mode}")).await;
        assert_eq!(unknown, TlsError::UnknownIssuer, "{mode}");
    }
    let other = server.error("localhost", "sslmode=verify-full&sslrootcert={}/other.pem").await;
    assert_eq!(other, TlsError::UnknownIssuer);
    assert!(server.open("localhost", "sslmode=require").await.is_ok());

    let missing = server.error("localhost", "sslmode=verify-full&sslrootcert={}/none.pem").await;
    assert!(matches!(missing, TlsError::File(_)), "{missing:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_the_url_requires_tls() {
    let url = postgres::server_url();
    for mode in ["require", "verify-ca", "verify-full"] {
        let opened = open(&format!("{url}?sslmode={mode}")).await;
        assert_eq!(error(opened), TlsError::NotOffered, "{mode}");
    }
    for mode in ["disable", "prefer"] {
        assert!(open(&format!("{url}?sslmode={mode}")).await.is_ok(), "{mode}");
    }
    assert!(
        open(&url).await.is_ok(),
        "a server on this machine needs no TLS unless the URL requires it"
    );
}
