//! Writes by chance, the same for the same seed.

use roots_domain::model::Patch;
use roots_domain::model::id::SessionId;
use roots_domain::model::session::{SessionPatch, SessionStatus};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, TodoPatch, TodoStatus};
use roots_domain::model::unit::{Resealed, UnitOfWork};
pub(crate) use roots_testkit::dice::Dice;
use roots_testkit::units::{Desk, resealed, text};

/// Few texts, so that patches often bring the one that stands.
const TEXTS: [&str; 3] = ["", "one", "two"];
pub(crate) const KINDS: [&str; 4] = ["general", "deploy", "a", "z.9_-"];
pub(crate) const ACTORS: [i64; 2] = [1, 2];

fn resealed_by_chance(dice: &mut Dice) -> Resealed {
    let plain = dice.one(&TEXTS);
    let same_as = dice.once_in(2).then(|| text(plain));
    // Another seal of the same text differs from the one before.
    Resealed { sealed: text(&format!("{plain} sealed anew {}", dice.below(1_000))), same_as }
}

fn patch_by_chance<T>(dice: &mut Dice, value: impl FnOnce(&mut Dice) -> T) -> Patch<T> {
    match dice.below(4) {
        0 => Patch::Clear,
        1 => Patch::Set(value(dice)),
        _ => Patch::Keep,
    }
}

/// An instant within a few days of the desk's, half of them on a day's very ends.
pub(crate) fn instant(dice: &mut Dice, desk: &Desk) -> Timestamp {
    let day = desk.at.day().0 - dice.below(4);
    let day = roots_domain::model::time::Day(day);
    match dice.below(4) {
        0 => day.first_instant(),
        1 => day.last_instant(),
        _ => day.first_instant().plus_seconds(dice.below(86_400)),
    }
}

/// A write of whatever kind to rows of ids up to `ids`, some of which there are.
pub(crate) fn unit(dice: &mut Dice, desk: &Desk, ids: i64) -> UnitOfWork {
    let desk = desk.of_actor(dice.one(&ACTORS));
    let id = 1 + dice.below(ids);
    let link = dice.once_in(3).then(|| 1 + dice.below(6));
    match dice.below(20) {
        0 | 1 => desk.start_session(),
        2 => desk.end_session(1 + dice.below(6)),
        3 => {
            let status = dice.once_in(3).then_some(SessionStatus::Active);
            let notes = patch_by_chance(dice, resealed_by_chance);
            desk.patch_session(1 + dice.below(6), SessionPatch { status, notes })
        }
        4 if dice.once_in(2) => desk.delete_session(1 + dice.below(6)),
        4..=7 => desk.create_todo_as(dice.one(&TEXTS), dice.below(4), link),
        8..=11 => {
            let status = dice.once_in(2).then(|| dice.one(&TodoStatus::ALL));
            let patch = TodoPatch {
                title: dice.once_in(3).then(|| resealed_by_chance(dice)),
                description: patch_by_chance(dice, resealed_by_chance),
                status,
                priority: dice.once_in(3).then(|| Priority::parse(dice.below(4)).unwrap()),
                due_at: patch_by_chance(dice, |dice| instant(dice, &desk)),
                session: patch_by_chance(dice, |dice| SessionId(1 + dice.below(6))),
                note: dice.once_in(4).then(|| resealed("why")),
            };
            desk.patch_todo(id, patch)
        }
        12 => desk.delete_todo(id),
        13..=17 => {
            let logged_at = dice.once_in(2).then(|| instant(dice, &desk));
            desk.log_activity_as(dice.one(&KINDS), link, logged_at)
        }
        _ => desk.delete_activity(id),
    }
}
