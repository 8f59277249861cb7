//! Random writes. The same seed gives the same writes.

use roots_domain::command::{ClaimRequest, Command, Resealed};
use roots_domain::model::Patch;
use roots_domain::model::id::{SessionId, TodoId};
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, TodoPatch, TodoStatus};
use roots_testkit::commands::{Issuer, resealed, text};
pub(crate) use roots_testkit::seeded_rng::SeededRng;

/// Few texts, so that many patches repeat the stored one.
const TEXTS: [&str; 3] = ["", "one", "two"];
pub(crate) const ACTIVITY_TYPES: [&str; 4] = ["general", "deploy", "a", "z.9_-"];
pub(crate) const ACTORS: [i64; 2] = [1, 2];

fn random_resealed(rng: &mut SeededRng) -> Resealed {
    let plain = rng.one(&TEXTS);
    let same_as = rng.once_in(2).then(|| text(plain));
    // Sealing the same text again gives another ciphertext.
    Resealed { sealed: text(&format!("{plain} sealed anew {}", rng.below(1_000))), same_as }
}

fn random_patch<T>(rng: &mut SeededRng, value: impl FnOnce(&mut SeededRng) -> T) -> Patch<T> {
    match rng.below(4) {
        0 => Patch::Clear,
        1 => Patch::Set(value(rng)),
        _ => Patch::Keep,
    }
}

/// An instant within a few days of the issuer's. Half of them are the first or last of a day.
pub(crate) fn instant(rng: &mut SeededRng, issuer: &Issuer) -> Timestamp {
    let day = issuer.at.day().0 - rng.below(4);
    let day = roots_domain::model::time::Day(day);
    match rng.below(4) {
        0 => day.first_instant(),
        1 => day.last_instant(),
        _ => day.first_instant().plus_seconds(rng.below(86_400)),
    }
}

/// A random write to a row with an id up to `ids`, which may not exist.
pub(crate) fn command(rng: &mut SeededRng, issuer: &Issuer, ids: i64) -> Command {
    let issuer = issuer.of_actor(rng.one(&ACTORS));
    let id = 1 + rng.below(ids);
    let link = rng.once_in(3).then(|| 1 + rng.below(6));
    match rng.below(23) {
        0 | 1 => issuer.start_session(),
        2 => issuer.end_session(1 + rng.below(6)),
        3 => {
            let status = rng.once_in(3).then_some(SessionStatusKind::Active);
            let notes = random_patch(rng, random_resealed);
            issuer.patch_session(1 + rng.below(6), SessionPatch { status, notes })
        }
        4 if rng.once_in(2) => issuer.delete_session(1 + rng.below(6)),
        5 if rng.once_in(2) => {
            let new: Vec<_> = (0..=rng.below(4))
                .map(|place| (rng.one(&TEXTS), rng.below(4), link.filter(|_| place < 2)))
                .collect();
            issuer.create_todos(&new)
        }
        4..=7 => issuer.create_todo_as(rng.one(&TEXTS), rng.below(4), link),
        8..=11 => {
            let status = rng.once_in(2).then(|| rng.one(&TodoStatus::ALL));
            let patch = TodoPatch {
                title: rng.once_in(3).then(|| random_resealed(rng)),
                description: random_patch(rng, random_resealed),
                status,
                priority: rng.once_in(3).then(|| Priority::parse(rng.below(4)).unwrap()),
                due_at: random_patch(rng, |rng| instant(rng, &issuer)),
                session: random_patch(rng, |rng| SessionId(1 + rng.below(6))),
                note: rng.once_in(4).then(|| resealed("why")),
            };
            issuer.patch_todo(id, patch)
        }
        12 => issuer.delete_todo(id),
        20 => {
            let session = link.map(SessionId);
            let todo = rng.once_in(4).then_some(TodoId(id));
            let min_priority = Priority::parse(rng.below(3)).unwrap();
            let claim = ClaimRequest { session, todo, min_priority, ..issuer.next_claim() };
            issuer.claim(claim)
        }
        21 => issuer.release(id, 1 + rng.below(2)),
        22 => {
            let status = rng.once_in(2).then(|| rng.one(&TodoStatus::ALL));
            let patch = TodoPatch { status, ..TodoPatch::EMPTY };
            issuer.patch_claimed(id, 1 + rng.below(2), patch)
        }
        13..=17 => {
            let logged_at = rng.once_in(2).then(|| instant(rng, &issuer));
            issuer.log_activity_as(rng.one(&ACTIVITY_TYPES), link, logged_at)
        }
        _ => issuer.delete_activity(id),
    }
}
