//! Settings in environment variables.

use std::process::Command;

use crate::program::{PROGRAM, Server, WorkFolder, finish, text};

#[test]
fn a_wrong_setting_refuses_the_start_with_one_sentence() {
    for (variable, value) in [
        ("ROOTS_BIND", "nowhere"),
        ("ROOTS_DATABASE_URL", "mysql://roots:hunter2@db/roots"),
        ("ROOTS_DATABASE_URL", "postgres://roots:hunter2@db:port/roots"),
        ("ROOTS_SIGNUP", "maybe"),
        ("ROOTS_SIGNUP_CREDITS", "-1"),
        ("ROOTS_SIGNUP_CREDITS", "many"),
        ("ROOTS_OPERATOR_CREDITS", "10000000000"),
        ("ROOTS_OPERATOR_FILE", ""),
        ("ROOTS_CORS_ORIGINS", "*"),
        ("ROOTS_LOG", "loud"),
        ("ROOTS_LOG_FORMAT", "xml"),
        ("ROOTS_METRICS_BIND", ":9090"),
        ("ROOTS_SIGNUPS_PER_HOUR", "-3"),
        ("ROOTS_CONNECTIONS", "0"),
        ("ROOTS_RECOVERS_PER_HOUR", "ten"),
        ("ROOTS_RATE_LIMIT_PER_MINUTE", "2/s"),
        ("ROOTS_TRUSTED_PROXIES", "localhost"),
    ] {
        let folder = WorkFolder::new();
        let mut command = folder.command(&[]);
        let output = finish({
            command.env(variable, value);
            command
        });
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.starts_with(&format!("roots-server: {variable} ")), "{message}");
        assert!(message.ends_with(".\n") && message.lines().count() == 1, "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert!(output.stdout.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");
    }
}

/// The program with a limit of open files, given as arguments of `ulimit`.
fn limited(folder: &WorkFolder, limit: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\""), PROGRAM]);
    folder.prepared(shell)
}

#[test]
fn an_open_file_limit_too_low_for_the_connections_refuses_the_start() {
    let folder = WorkFolder::new();
    let output = finish(limited(&folder, "-n 1024"));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.starts_with("roots-server: ROOTS_CONNECTIONS (--connections) is 900"),
        "{message}"
    );
    assert!(
        message.ends_with(", or set 736 connections.\n") && message.lines().count() == 1,
        "{message}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");

    let mut command = limited(&folder, "-n 1024");
    command.env("ROOTS_CONNECTIONS", "736");
    Server::start(command).stop();
}

#[test]
fn a_soft_limit_of_open_files_is_raised() {
    let folder = WorkFolder::new();
    let server = Server::start(limited(&folder, "-Sn 256"));
    assert_eq!(server.logged("the limit of open files was raised")[0]["to"], 1_188);
    server.stop();
}

#[test]
fn an_unavailable_database_refuses_the_start_without_showing_its_password() {
    let folder = WorkFolder::new();
    let mut command = folder.command(&[]);
    command.env("ROOTS_DATABASE_URL", "postgres://roots:hunter2@127.0.0.1:1/roots");
    let output = finish(command);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.ends_with(".\n") && message.lines().count() == 1, "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn an_address_in_use_refuses_the_start_before_anything_is_created() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for variable in ["ROOTS_BIND", "ROOTS_METRICS_BIND"] {
        let folder = WorkFolder::new();
        let mut command = folder.command(&[]);
        command.env(variable, &address);
        let output = finish(command);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(variable) && message.contains(&address), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");
    }
}

#[test]
fn the_help_of_every_command_hides_the_values_of_settings() {
    let folder = WorkFolder::new();
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["migrate", "--help"],
        &["bootstrap", "--help"],
        &["credits", "--help"],
        &["credits", "grant", "--help"],
        &["backup", "--help"],
        &["verify", "--help"],
        &["openapi", "--help"],
    ] {
        let mut command = folder.command(args);
        command.env("ROOTS_DATABASE_URL", "postgres://roots:hunter2@db/roots");
        let output = finish(command);
        assert!(output.status.success(), "{args:?}");
        let help = text(&output.stdout);
        assert!(help.contains("ROOTS_DATABASE_URL"), "{args:?}");
        assert!(!help.contains("hunter2"), "{args:?}");
    }
}
