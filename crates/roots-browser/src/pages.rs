//! The pages to look at.

use crate::seed::Seeded;

/// A page, named for pictures and failures.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its name.
    pub name: &'static str,
    /// Its path.
    pub path: String,
}

/// The pages of an owner of that account. Those of single rows are left out if there are none.
#[must_use]
pub fn pages(seeded: &Seeded) -> Vec<Page> {
    let lists = [
        ("now", "/"),
        ("sessions", "/sessions"),
        ("todos", "/todos"),
        ("new-todo", "/todos/new"),
        ("activity", "/activity"),
        ("agents", "/agents"),
        ("credits", "/credits"),
        ("access", "/access"),
        ("audit", "/access/audit"),
        ("column", "/todos?status=open"),
        ("overdue", "/todos?overdue=true"),
        ("search", "/activity?q=parser"),
        ("not-found", "/todos/999999"),
        ("bad-query", "/todos?priority=9"),
    ];
    let lists = lists.map(|(name, path)| Page { name, path: path.to_owned() });
    let session = seeded.session.map(|id| ("session", format!("/sessions/{id}")));
    let todo = seeded.todo.map(|id| ("todo", format!("/todos/{id}")));
    let edit = seeded.todo.map(|id| ("edit-todo", format!("/todos/{id}/edit")));
    let agent = seeded.agents.first().map(|(id, _)| ("agent", format!("/agents/{id}")));
    let entry = seeded.entry.map(|id| ("entry", format!("/activity/{id}")));
    let items = [session, todo, edit, agent, entry].into_iter().flatten();
    lists.into_iter().chain(items.map(|(name, path)| Page { name, path })).collect()
}

/// The pages of those who are not signed in.
#[must_use]
pub fn pages_of_nobody() -> Vec<Page> {
    let all = [("sign-in", "/sign-in"), ("signed-out", "/sign-in?why=rotated")];
    all.map(|(name, path)| Page { name, path: path.to_owned() }).into()
}

/// The pages of an operator alone.
#[must_use]
pub fn pages_of_operators(account: i64) -> Vec<Page> {
    vec![
        Page { name: "accounts", path: "/accounts".to_owned() },
        Page { name: "account", path: format!("/accounts/{account}") },
    ]
}
