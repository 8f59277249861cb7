//! Commands at random, of few ids, texts and actors, so that they meet each other's rows.

use std::ops::Range;

use proptest::option::of as maybe;

use super::*;

/// Few ids, so that commands meet each other's rows.
const IDS: Range<i64> = 1..5;

fn ids<I: Debug>(make: fn(i64) -> I) -> impl Strategy<Value = I> {
    IDS.prop_map(make)
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..3 * DAY_SECONDS).prop_map(at)
}

fn texts() -> impl Strategy<Value = Sealed> {
    (0..3_u8).prop_map(|text| Sealed(vec![text]))
}

fn uids() -> impl Strategy<Value = Uid> {
    (1..3_u128).prop_map(uid)
}

fn priorities() -> impl Strategy<Value = Priority> {
    (0..4_i64).prop_map(priority)
}

fn resealed_texts() -> impl Strategy<Value = Resealed> {
    (texts(), maybe(texts())).prop_map(|(sealed, same_as)| Resealed { sealed, same_as })
}

fn patches<T: Debug + Clone>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Patch<T>> {
    (0..5, values).prop_map(|(choice, value)| match choice {
        0 | 1 => Patch::Keep,
        2 => Patch::Clear,
        _ => Patch::Set(value),
    })
}

fn sealed_fors() -> impl Strategy<Value = Option<Uid>> {
    prop_oneof![4 => Just(None).boxed(), 1 => uids().prop_map(Some).boxed()]
}

fn session_patches() -> impl Strategy<Value = Action> {
    let statuses = proptest::sample::select(&SessionStatus::ALL[..]);
    (ids(SessionId), sealed_fors(), maybe(statuses), patches(resealed_texts())).prop_map(
        |(id, sealed_for, status, notes)| {
            Action::PatchSession(RowPatch { id, sealed_for, patch: SessionPatch { status, notes } })
        },
    )
}

fn actors() -> impl Strategy<Value = ActorId> {
    prop_oneof![5 => Just(ME), 1 => Just(PEER)]
}

fn new_todos() -> impl Strategy<Value = Action> {
    let sessions = maybe(ids(SessionId));
    (maybe(actors()), uids(), sessions, texts(), maybe(texts()), priorities(), maybe(times()))
        .prop_map(|(actor, uid, session, title, description, priority, due_at)| {
            let new = NewTodo { actor, title, description, session, priority, due_at };
            Action::CreateTodo { uid, new }
        })
}

fn todo_patches() -> impl Strategy<Value = Action> {
    let statuses = proptest::sample::select(&TodoStatus::ALL[..]);
    let patch =
        (
            maybe(resealed_texts()),
            patches(resealed_texts()),
            maybe(statuses),
            maybe(priorities()),
            patches(times()),
            patches(ids(SessionId)),
            proptest::option::weighted(0.2, resealed_texts()),
        )
            .prop_map(|(title, description, status, priority, due_at, session, note)| {
                TodoPatch { title, description, status, priority, due_at, session, note }
            });
    (ids(TodoId), sealed_fors(), patch, uids()).prop_map(|(id, sealed_for, patch, log_uid)| {
        Action::PatchTodo { row: RowPatch { id, sealed_for, patch }, log_uid }
    })
}

fn new_activities() -> impl Strategy<Value = Action> {
    let kinds = proptest::sample::select(&["general", "deploy", "review"][..]).prop_map(kind);
    (actors(), uids(), maybe(ids(SessionId)), kinds, texts(), maybe(times())).prop_map(
        |(actor, uid, session, activity_type, description, logged_at)| {
            let new = NewActivity { actor, uid, session, activity_type, description, logged_at };
            Action::LogActivity(new)
        },
    )
}

/// Rows of one source. Todos begin as they do here, so that their logs tell how they came to stand.
fn imports() -> impl Strategy<Value = Action> {
    let link = || maybe(ids(SessionId));
    let statuses = || proptest::sample::select(&TodoStatus::ALL[..]);
    let row = prop_oneof![
        (ids(SessionId), actors()).prop_map(|(id, actor)| {
            ImportRow::Session(Session { id, actor, version: 1, ..session(ENDED) })
        }),
        (ids(TodoId), actors(), link()).prop_map(|(id, actor, session)| {
            let status = TodoStatus::Open;
            ImportRow::Todo(Todo { id, actor, session, status, version: 1, ..todo(TODO) })
        }),
        (ids(LogId), actors(), ids(TodoId), statuses(), statuses()).prop_map(
            |(id, actor, todo, old_status, new_status)| {
                let (uid, note, logged_at) = (uid(4), None, at(40));
                let step = StatusChange { id, uid, todo, old_status, new_status, note, logged_at };
                ImportRow::Step(actor, step)
            }
        ),
        (ids(ActivityId), actors(), link()).prop_map(|(id, actor, session)| {
            ImportRow::Activity(Activity { id, actor, session, ..activity(ACTIVITY) })
        }),
    ];
    // Another import may have taken the actor there for PEER.
    let actors = prop_oneof![4 => Just((ME, ActorId(8))), 1 => Just((PEER, ActorId(8)))];
    let actors = actors.prop_map(|(here, there)| BTreeMap::from([(here, there)]));
    (vec(row, 0..8), actors)
        .prop_map(|(rows, actors)| Action::Import(Import { source: uid(7_000), actors, rows }))
}

fn actions() -> impl Strategy<Value = Action> {
    let starts = (actors(), uids(), maybe(texts()))
        .prop_map(|(actor, uid, notes)| Action::StartSession { actor, uid, notes });
    prop_oneof![
        2 => starts.boxed(),
        5 => session_patches().boxed(),
        1 => ids(SessionId).prop_map(Action::DeleteSession).boxed(),
        4 => new_todos().boxed(),
        12 => todo_patches().boxed(),
        1 => ids(TodoId).prop_map(Action::DeleteTodo).boxed(),
        4 => new_activities().boxed(),
        2 => ids(ActivityId).prop_map(Action::DeleteActivity).boxed(),
        3 => imports().boxed(),
    ]
}

pub(super) fn commands() -> impl Strategy<Value = Command> {
    let homes = || prop_oneof![4 => Just(HOME), 1 => Just(ABROAD)];
    let roles = proptest::sample::select(Role::ALL);
    let epochs = prop_oneof![9 => Just(EPOCH), 1 => Just(EPOCH - 1)];
    let fates = proptest::sample::select(&FATES[..]);
    let bearers = (homes(), actors(), roles, fates, epochs).prop_map(
        |(account, actor, role, fate, auth_epoch)| KeyBearer {
            account,
            actor,
            role,
            key: key_of(actor, fate),
            auth_epoch,
            ends_at: None,
        },
    );
    let charges = prop_oneof![
        6 => Just(Some(Charge::write(ROUTE))),
        1 => (0..4_i64).prop_map(|cost| Some(Charge { cost, endpoint: "PATCH /route/{id}" })),
        1 => Just(None),
    ];
    let by_key =
        (bearers, actions(), charges, times()).prop_map(|(bearer, action, charge, at)| Command {
            principal: Principal::Key(bearer),
            action,
            charge,
            conditions: Conditions::default(),
            at,
        });
    let of_grant = prop_oneof![4 => homes(), 1 => Just(AccountId(9))];
    let grants =
        (of_grant, 1..5_i64, any::<bool>(), times()).prop_map(|(home, amount, note, at)| {
            let note = note.then(|| name("refill"));
            let action = Action::GrantCredits { account: home, amount, note };
            Command {
                principal: Principal::Program,
                action,
                charge: None,
                conditions: Conditions::default(),
                at,
            }
        });
    prop_oneof![20 => by_key.boxed(), 1 => grants.boxed()]
}
