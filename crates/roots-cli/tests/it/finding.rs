//! Searches and the brief.

use serde_json::{Value, json};

use crate::program::{User, user_of_api};
use crate::scripted_server::{ScriptedServer, answer};

#[tokio::test]
async fn words_are_found_in_all_texts() {
    let (_app, user) = user_of_api(20).await;
    user.done(&["todo", "add", "Deploy the docs"]).await;
    user.done(&["log", "Read about rate limits", "--at", "2026-01-02 03:04"]).await;
    user.done(&["log", "The docs limit the rate", "--at", "2026-01-02 03:05"]).await;
    let found = user.done(&["search", "docs"]).await;
    assert!(found.ends_with("2 results\n"), "{found}");
    insta::assert_snapshot!(user.done(&["search", "rate", "limit*", "--kind", "activity"]).await, @"
    KIND      ID  TIME              FIELD        EXCERPT
    activity  2   2026-01-02 03:05  description  The docs limit the rate
    activity  1   2026-01-02 03:04  description  Read about rate limits
    2 results
    ");
    // The shell has taken the outer quotes away.
    let phrase = user.done(&["search", "\"rate limits\""]).await;
    assert!(phrase.ends_with("1 result\n"), "{phrase}");
    assert_eq!(user.done(&["search", "absent"]).await, "0 results\n");
    assert_eq!(user.done(&["search", "docs", "--until", "2026-01-01"]).await, "0 results\n");
    let open = user.json(&["search", "docs", "--status", "open"]).await;
    assert_eq!(open["results"][0]["title"], "Deploy the docs");
    assert_eq!(open["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_cursor_goes_on_and_all_follows_it() {
    let (_app, user) = user_of_api(200).await;
    for n in 0..105 {
        user.done(&["log", &format!("docs {n}"), "--at", "2026-01-02 03:04"]).await;
    }
    let first = user.run(&["search", "docs", "-n", "60", "--since", "2026-01-01"]).await;
    assert!(first.stdout.ends_with("60 results\n"), "{first:?}");
    let options = first.stderr.trim().strip_prefix("More may follow: ").unwrap();
    let options = options.strip_suffix(", or --all.").unwrap();
    let options: Vec<_> = options.split(' ').collect();
    let rest = user.done(&[&["search", "docs", "-n", "60"], &options[..]].concat()).await;
    assert!(rest.ends_with("45 results\n"), "{rest}");
    let all = user.json(&["search", "docs", "--all"]).await;
    assert_eq!(all["results"].as_array().unwrap().len(), 105);
    assert_eq!((&all["next_cursor"], &all["complete"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn all_shows_the_pages_before_one_that_is_refused() {
    let page = json!({
        "results": [{
            "kind": "activity", "id": 12, "at": "2026-04-09T10:00:00Z", "field": "description",
            "excerpt": "Deployed the docs", "actor_id": 1,
        }],
        "next_cursor": "goes-on", "complete": false, "unreadable": 0,
    });
    let refusal =
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\nconnection: close\r\n\r\n";
    for json in [false, true] {
        let page = answer("200 OK", "application/json", &page.to_string());
        let server = ScriptedServer::start(vec![page, refusal.to_owned()]);
        let mut user = User::new();
        user.set("ROOTS_URL", &server.url);
        user.set("ROOTS_API_KEY", "roots_1_key");
        let options: &[&str] = if json { &["--json"] } else { &[] };
        let run = user.run(&[&["search", "docs", "--all"], options].concat()).await;
        assert_eq!(run.code, 7, "{run:?}");
        assert!(run.stdout.contains("Deployed the docs"), "{run:?}");
        if json {
            let found: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(found["next_cursor"], "goes-on");
        } else {
            assert!(run.stderr.contains("Go on: --cursor goes-on"), "{run:?}");
        }
        assert!(server.seen()[1].contains("goes-on"), "{:?}", server.seen());
    }
}

#[tokio::test]
async fn the_brief_begins_with_what_to_do() {
    let (app, user) = user_of_api(20).await;
    let nothing = user.done(&["brief"]).await;
    assert!(nothing.starts_with("DO NEXT\n  Nothing to do: no todo is open"), "{nothing}");
    user.done(&["start", "Moving the docs"]).await;
    user.done(&["todo", "add", "Deploy the docs", "-p", "2"]).await;
    user.done(&["log", "Which region?", "-t", "question"]).await;
    let brief = user.done(&["brief"]).await;
    let start = "DO NEXT\n  Claim todo 1: Deploy the docs (priority 2)\n  roots todo claim 1\n\n\
                 WAITING FOR A PERSON\n";
    assert!(brief.starts_with(start), "{brief}");
    assert!(brief.contains("question, session 1: Which region?"), "{brief}");
    user.done(&["todo", "claim", "1"]).await;
    let brief = user.done(&["brief", "--max-tokens", "500"]).await;
    assert!(brief.starts_with("DO NEXT\n  Go on with todo 1: "), "{brief}");

    let document = user.json(&["brief", "--max-tokens", "4000"]).await;
    let mut expected = app.get("/brief?max_tokens=4000").await.json();
    expected["at"] = document["at"].clone();
    assert_eq!(document, expected);
    user.refused(2, &["brief", "--max-tokens", "100"]).await;
}
