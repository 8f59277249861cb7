//! Keys as text.

use roots_client::ApiKey;
use roots_client::model::{Key, KeyPage};

use crate::dates::{shown, shown_short};
use crate::output::{Table, one_line};

/// A page of keys, as a table. `own` is the key that reads it.
pub(super) fn list(page: &KeyPage, own: &ApiKey) -> String {
    let mut table =
        Table::new(&["ID", "KEY", "LABEL", "ACTOR", "STATE", "CREATED", "LAST USED", "EXPIRES"]);
    for key in &page.keys {
        let state = match (is_own(key, own), key.is_active) {
            (true, _) => "in use now",
            (false, true) => "valid",
            (false, false) => "ended",
        };
        table.row([
            key.key_id.to_string(),
            format!("{}…", key.key_prefix),
            key.label.clone().unwrap_or_default(),
            format!("{id} {name}", id = key.actor_id, name = key.actor_name),
            state.to_owned(),
            shown_short(key.created_at),
            key.last_used.map(shown_short).unwrap_or_default(),
            key.expires_at.map(shown_short).unwrap_or_default(),
        ]);
    }
    table.of_total(page.total)
}

/// A key in a few words.
pub(super) fn about(key: &Key) -> String {
    let label = key.label.as_deref().map(|label| format!("{}, ", one_line(label)));
    let used =
        key.last_used.map_or("never used".to_owned(), |time| format!("last used {}", shown(time)));
    format!(
        "{label}{prefix}…, of {actor}, {used}",
        label = label.unwrap_or_default(),
        prefix = one_line(&key.key_prefix),
        actor = one_line(&key.actor_name)
    )
}

/// Whether the key is that which the program uses. Its first characters tell.
pub(super) fn is_own(key: &Key, own: &ApiKey) -> bool {
    key.is_active && own.expose().starts_with(&key.key_prefix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page() -> KeyPage {
        let key = |id: i64, label, is_active, last_used| {
            json!({
                "key_id": id, "actor_id": 2, "actor_name": "worker",
                "key_prefix": format!("roots_2_key{id}"), "label": label, "is_active": is_active,
                "created_at": "2026-04-09T10:00:00Z", "last_used": last_used, "expires_at": null,
            })
        };
        serde_json::from_value(json!({
            "keys": [
                key(3, Some("laptop"), true, Some("2026-04-09T10:00:00Z")),
                key(2, None, true, None),
                key(1, Some("old\nmachine"), false, None),
            ],
            "total": 3, "limit": 20, "offset": 0, "next_cursor": null,
        }))
        .unwrap()
    }

    #[test]
    fn a_list_of_keys_shows_which_one_is_in_use() {
        let time = "2026-04-09T10:00:00Z".parse().unwrap();
        let shown = list(&page(), &ApiKey::from("roots_2_key3secret"));
        insta::assert_snapshot!(shown.replace(&shown_short(time), "TIME"), @"");
        assert!(!shown.contains("secret"));
    }

    #[test]
    fn a_key_is_told_in_a_few_words() {
        let [laptop, unnamed, _] = &page().keys[..] else { panic!("three keys") };
        let time = shown(laptop.created_at);
        assert_eq!(about(laptop), format!("laptop, roots_2_key3…, of worker, last used {time}"));
        assert_eq!(about(unnamed), "roots_2_key2…, of worker, never used");
    }
}
