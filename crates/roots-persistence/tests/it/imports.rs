//! Imports: what they cost.

use roots_domain::model::activity::Activity;
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::ImportRow;
use roots_domain::model::session::{Session, SessionStatus};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoStatus};
use roots_domain::model::unit::UnitOfWork;
use roots_domain::port::archive::ImportReader;
use roots_domain::port::store::{AccountsReader, ApplyError, Auditor, UnitStore};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;
use roots_testkit::model::Model;
use roots_testkit::units::{Desk, text, uid};
use roots_testkit::world::activity_type;

use crate::chance::{self, Dice};

roots_testkit::on_both! {
    imports_are_charged_as_the_model_says,
    books_are_read_for_a_dry_run_as_they_are_for_a_write,
    an_accounts_last_write_may_be_an_import,
}

/// Few ids, so that rows meet.
fn row(dice: &mut Dice, desk: &Desk) -> ImportRow {
    let (id, link) = (1 + dice.below(30), dice.once_in(2).then(|| SessionId(1 + dice.below(8))));
    let (uid, at) = (uid(), chance::instant(dice, desk));
    let actor = ActorId(dice.one(&chance::ACTORS));
    match dice.below(4) {
        0 => ImportRow::Session(Session {
            id: SessionId(1 + dice.below(8)),
            uid,
            actor,
            status: SessionStatus::Ended,
            notes: None,
            started_at: at,
            ended_at: Some(at),
            version: 1,
        }),
        1 => ImportRow::Todo(Todo {
            id: TodoId(id),
            uid,
            actor,
            session: link,
            title: text("imported"),
            description: None,
            status: dice.one(&TodoStatus::ALL),
            priority: Priority::parse(dice.below(4)).unwrap(),
            due_at: None,
            created_at: at,
            updated_at: at,
            version: 1,
        }),
        2 => {
            let (old_status, new_status) = (dice.one(&TodoStatus::ALL), dice.one(&TodoStatus::ALL));
            let id = LogId(1 + dice.below(1_000));
            let todo = TodoId(1 + dice.below(30));
            let step =
                StatusChange { id, uid, todo, old_status, new_status, note: None, logged_at: at };
            ImportRow::Step(actor, step)
        }
        _ => ImportRow::Activity(Activity {
            id: ActivityId(1 + dice.below(1_000)),
            uid,
            actor,
            session: link,
            activity_type: activity_type(dice.one(&chance::KINDS)),
            description: text("imported"),
            logged_at: at,
            created_at: at,
            version: 1,
        }),
    }
}

fn import(dice: &mut Dice, desk: &Desk) -> UnitOfWork {
    let rows = (0..=dice.below(11)).map(|_| row(dice, desk)).collect();
    desk.import(Uid::NIL, rows)
}

async fn imports_are_charged_as_the_model_says(db: TestDatabase) {
    let mut dice = Dice(12);
    let mut desk = Desk::new(&db.store, 300).await;
    put_member(&db, desk.account, 2).await;
    let mut model = Model::new(desk, 300);
    let mut imports = 0;
    for _ in 0..10_000 {
        desk.at = desk.at.plus_seconds(dice.below(2) * 3_600);
        let unit = if dice.once_in(2) {
            imports += 1;
            import(&mut dice, &desk)
        } else {
            chance::unit(&mut dice, &desk, 60)
        };
        let expected = model.expect(&unit).map_err(ApplyError::Refused);
        assert_eq!(db.store.apply(unit.clone()).await, expected, "{unit:?}");
        if model.balance() == 0 && dice.once_in(20) {
            break;
        }
    }
    assert!(model.balance() == 0 && imports > 30, "{imports}");
    model.compare(&db.store, &chance::ACTORS, &[TimeRange::default()], 100).await;
    assert_eq!(db.store.audit().await.unwrap(), (1, vec![]));
}

/// What a unit comes to in books that were only read is what the store then does.
async fn books_are_read_for_a_dry_run_as_they_are_for_a_write(db: TestDatabase) {
    let mut dice = Dice(7);
    let desk = Desk::new(&db.store, 10_000).await;
    put_member(&db, desk.account, 2).await;
    for _ in 0..12 {
        let unit = import(&mut dice, &desk);
        let before = db.dump().await;
        let mut books = db.store.books_for(&unit).await.unwrap();
        assert_eq!(db.dump().await, before);
        let expected = books.decide_at(unit.clone(), desk.at).unwrap();
        assert_eq!(db.store.apply(unit).await.unwrap(), expected);
    }
}

async fn an_accounts_last_write_may_be_an_import(db: TestDatabase) {
    let mut desk = Desk::new(&db.store, 100).await;
    db.store.apply(desk.start_session()).await.unwrap();
    desk.at = desk.at.plus_seconds(60);
    let mut dice = Dice(1);
    let rows = std::iter::repeat_with(|| row(&mut dice, &desk));
    let session = rows.into_iter().find(|row| matches!(row, ImportRow::Session(_))).unwrap();
    db.store.apply(desk.import(Uid::NIL, vec![session])).await.unwrap();
    let found =
        db.store.account_overview(desk.account.into(), desk.account).await.unwrap().unwrap();
    assert_eq!((found.writes, found.last_write_at), (1, Some(desk.at)));
}
