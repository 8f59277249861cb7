//! What imports cost.

use roots_domain::command::Command;
use roots_domain::model::activity::Activity;
use roots_domain::model::claim::Claims;
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::import::ImportRow;
use roots_domain::model::session::{Session, SessionStatus};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoContent, TodoStatus};
use roots_domain::port::archive::ImportReader;
use roots_domain::port::store::{AccountsReader, ApplyError, CommandStore, Verifier};
use roots_testkit::commands::{Issuer, text, uid};
use roots_testkit::compare::compare;
use roots_testkit::context::activity_type;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    random_imports_are_charged_as_the_reference_model_says,
    a_dry_run_decides_on_the_same_working_set_as_the_write,
    an_import_counts_as_the_last_write_of_its_account,
}

/// A random row. It has one of few ids, so that many rows have the same.
fn row(rng: &mut SeededRng, issuer: &Issuer) -> ImportRow {
    let (id, link) = (1 + rng.below(30), rng.once_in(2).then(|| SessionId(1 + rng.below(8))));
    let (uid, at) = (uid(), random_commands::instant(rng, issuer));
    let actor = ActorId(rng.one(&random_commands::ACTORS));
    match rng.below(4) {
        0 => ImportRow::Session(Session {
            id: SessionId(1 + rng.below(8)),
            uid,
            actor,
            status: SessionStatus::ended(at),
            notes: None,
            started_at: at,
            version: 1,
        }),
        1 => ImportRow::Todo(Todo {
            id: TodoId(id),
            uid,
            actor,
            content: TodoContent {
                session: link,
                title: text("imported"),
                description: None,
                priority: Priority::parse(rng.below(4)).unwrap(),
                due_at: None,
            },
            status: rng.one(&TodoStatus::ALL),
            claims: Claims::NONE,
            created_at: at,
            updated_at: at,
            status_since: at,
            version: 1,
        }),
        2 => {
            let (old_status, new_status) = (rng.one(&TodoStatus::ALL), rng.one(&TodoStatus::ALL));
            let id = LogId(1 + rng.below(1_000));
            let todo = TodoId(1 + rng.below(30));
            let step =
                StatusChange { id, uid, todo, old_status, new_status, note: None, logged_at: at };
            ImportRow::Step(actor, step)
        }
        _ => ImportRow::Activity(Activity {
            id: ActivityId(1 + rng.below(1_000)),
            uid,
            actor,
            session: link,
            activity_type: activity_type(rng.one(&random_commands::ACTIVITY_TYPES)),
            description: text("imported"),
            logged_at: at,
            created_at: at,
            version: 1,
        }),
    }
}

fn import(rng: &mut SeededRng, issuer: &Issuer) -> Command {
    let rows = (0..=rng.below(11)).map(|_| row(rng, issuer)).collect();
    issuer.import(Uid::NIL, rows)
}

async fn random_imports_are_charged_as_the_reference_model_says(db: TestDatabase) {
    let mut rng = SeededRng(12);
    let mut issuer = Issuer::new(&db.store, 300).await;
    put_member(&db, issuer.account, 2).await;
    let mut model = issuer.reference_model(300);
    let mut imports = 0;
    for _ in 0..10_000 {
        issuer.at = issuer.at.plus_seconds(rng.below(2) * 3_600);
        let command = if rng.once_in(2) {
            imports += 1;
            import(&mut rng, &issuer)
        } else {
            random_commands::command(&mut rng, &issuer, 60)
        };
        let expected = model.expect(&command).map_err(ApplyError::Refused);
        assert_eq!(db.store.apply(command.clone()).await, expected, "{command:?}");
        if model.account.balance == 0 && rng.once_in(20) {
            break;
        }
    }
    assert!(model.account.balance == 0 && imports > 30, "{imports}");
    compare(&model, &db.store, &random_commands::ACTORS, &[TimeRange::default()], 100).await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

/// A decision on a working set that was only read is the same as the one of the write that follows.
async fn a_dry_run_decides_on_the_same_working_set_as_the_write(db: TestDatabase) {
    let mut rng = SeededRng(7);
    let issuer = Issuer::new(&db.store, 10_000).await;
    put_member(&db, issuer.account, 2).await;
    for _ in 0..12 {
        let command = import(&mut rng, &issuer);
        let before = db.dump().await;
        let mut working_set = db.store.working_set_for(&command).await.unwrap();
        assert_eq!(db.dump().await, before);
        let expected = working_set.decide_at(command.clone(), issuer.at).unwrap();
        assert_eq!(db.store.apply(command).await.unwrap(), expected);
    }
}

async fn an_import_counts_as_the_last_write_of_its_account(db: TestDatabase) {
    let mut issuer = Issuer::new(&db.store, 100).await;
    db.store.apply(issuer.start_session()).await.unwrap();
    issuer.at = issuer.at.plus_seconds(60);
    let mut rng = SeededRng(1);
    let rows = std::iter::repeat_with(|| row(&mut rng, &issuer));
    let session = rows.into_iter().find(|row| matches!(row, ImportRow::Session(_))).unwrap();
    db.store.apply(issuer.import(Uid::NIL, vec![session])).await.unwrap();
    let found =
        db.store.account_overview(issuer.account.into(), issuer.account).await.unwrap().unwrap();
    assert_eq!((found.writes, found.last_write_at), (1, Some(issuer.at)));
}
