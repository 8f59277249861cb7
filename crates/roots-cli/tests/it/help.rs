//! What the program says about itself.

use serde_json::json;

use crate::program::{User, user_of_api};

#[tokio::test]
async fn the_help_of_sessions_and_todos() {
    let user = User::new();
    let mut pages = String::new();
    for command in [
        "login",
        "logout",
        "status",
        "start",
        "end",
        "note",
        "log",
        "todo",
        "todo add",
        "todo list",
        "todo claim",
        "todo edit",
        "todo rm",
    ] {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let help = user.done(&arguments).await;
        pages.push_str(&["$ roots ", &arguments.join(" "), "\n", &help, "\n"].concat());
    }
    insta::assert_snapshot!("the_help_of_sessions_and_todos", pages);
}

#[tokio::test]
async fn completions_and_manual_pages_are_printed() {
    let user = User::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = user.done(&["completions", shell]).await;
        assert!(script.contains("roots") && script.contains("claim"), "{shell}");
    }
    assert!(user.done(&["man"]).await.contains(".TH roots 1"));
    assert!(user.done(&["man", "todo", "add"]).await.contains("roots todo add"));
    user.refused(3, &["man", "nonsense"]).await;
    assert!(user.done(&["--help"]).await.contains("Exit codes: 0 done, 1 failed,"));
    assert!(user.done(&["--version"]).await.starts_with("roots "));
}

#[tokio::test]
async fn status_tells_both_versions_and_what_the_server_lacks() {
    let (app, user) = user_of_api(10).await;
    let status = user.json(&["status"]).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(status["client_version"], version);
    assert_eq!(status["server_version"], version);
    assert_eq!(status["server_lacks"], json!([]));
    assert_eq!(status["client_lacks"], json!([]));
    let text = user.done(&["status"]).await;
    let text = text.replace(&app.address, "URL").replace(user.folder.to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(text.replace(version, "VERSION"), @r"
    Server     URL
    Versions   server VERSION, roots VERSION
    Key        from ROOTS_API_KEY
    Actor      Test agent (owner of Test account)
    Credits    10
    Work tree  FOLDER
    Session    none
    ");
    let run = user.run(&["todo", "list"]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}
