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

fn session_patches() -> impl Strategy<Value = ResourceAction> {
    let statuses = proptest::sample::select(&SessionStatusKind::ALL[..]);
    (ids(SessionId), sealed_fors(), maybe(statuses), patches(resealed_texts())).prop_map(
        |(id, sealed_for, status, notes)| {
            ResourceAction::PatchSession(RowPatch {
                id,
                sealed_for,
                patch: SessionPatch { status, notes },
            })
        },
    )
}

fn actors() -> impl Strategy<Value = ActorId> {
    prop_oneof![5 => Just(ME), 1 => Just(PEER)]
}

fn drafts() -> impl Strategy<Value = (Uid, NewTodo<Sealed>)> {
    let sessions = maybe(ids(SessionId));
    (maybe(actors()), uids(), sessions, texts(), maybe(texts()), priorities(), maybe(times()))
        .prop_map(|(actor, uid, session, title, description, priority, due_at)| {
            let new = NewTodo {
                actor,
                content: TodoContent { title, description, session, priority, due_at },
            };
            (uid, new)
        })
}

fn new_todos() -> impl Strategy<Value = ResourceAction> {
    prop_oneof![
        3 => drafts().prop_map(|(uid, new)| ResourceAction::CreateTodo { uid, new }).boxed(),
        1 => vec(drafts(), 1..5)
            .prop_map(|new| ResourceAction::CreateTodos(NewTodos::new(new).unwrap()))
            .boxed(),
    ]
}

fn todo_patches() -> impl Strategy<Value = ResourceAction> {
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
    (ids(TodoId), sealed_fors(), patch, uids(), tokens()).prop_map(
        |(id, sealed_for, patch, log_uid, claim_token)| ResourceAction::PatchTodo {
            row: RowPatch { id, sealed_for, patch },
            log_uid,
            claim_token,
        },
    )
}

fn tokens() -> impl Strategy<Value = Option<ClaimToken>> {
    proptest::option::weighted(0.3, (1..4_i64).prop_map(ClaimToken))
}

fn claims() -> impl Strategy<Value = ResourceAction> {
    let leases = (60..180_i64).prop_map(|seconds| LeaseSeconds::parse(seconds).unwrap());
    let todos = proptest::option::weighted(0.3, ids(TodoId));
    (actors(), maybe(ids(SessionId)), todos, priorities(), leases).prop_map(
        |(actor, session, todo, min_priority, lease)| {
            ResourceAction::ClaimTodo(ClaimRequest {
                actor,
                session,
                todo,
                min_priority,
                lease,
                log_uids: [uid(5), uid(6)],
                lapse_note: sealed("claim lapsed"),
            })
        },
    )
}

fn releases() -> impl Strategy<Value = ResourceAction> {
    (ids(TodoId), (1..4_i64).prop_map(ClaimToken)).prop_map(|(id, claim_token)| {
        ResourceAction::ReleaseTodo { id, claim_token, log_uid: uid(7) }
    })
}

fn new_activities() -> impl Strategy<Value = ResourceAction> {
    let activity_types =
        proptest::sample::select(&["general", "deploy", "review"][..]).prop_map(activity_type);
    (maybe(actors()), uids(), maybe(ids(SessionId)), activity_types, texts(), maybe(times()))
        .prop_map(|(actor, uid, session, activity_type, description, logged_at)| {
            let new = NewActivity { actor, description, activity_type, session, logged_at };
            ResourceAction::LogActivity { uid, new }
        })
}

/// Imports of one source. Todos begin as open, as local ones do: a log explains each status.
fn imports() -> impl Strategy<Value = TransferAction> {
    let link = || maybe(ids(SessionId));
    let statuses = || proptest::sample::select(&TodoStatus::ALL[..]);
    let row = prop_oneof![
        (ids(SessionId), actors()).prop_map(|(id, actor)| {
            ImportRow::Session(Session { id, actor, version: 1, ..session(ENDED) })
        }),
        (ids(TodoId), actors(), link()).prop_map(|(id, actor, session)| {
            let status = TodoStatus::Open;
            ImportRow::Todo(Todo {
                id,
                actor,
                content: TodoContent { session, ..todo(TODO).content },
                status,
                version: 1,
                ..todo(TODO)
            })
        }),
        // An imported todo is from second 30, and some of its steps are older.
        (ids(LogId), actors(), ids(TodoId), statuses(), statuses(), (0..60_i64).prop_map(at))
            .prop_map(|(id, actor, todo, old_status, new_status, logged_at)| {
                let (uid, note) = (uid(4), None);
                let step = StatusChange { id, uid, todo, old_status, new_status, note, logged_at };
                ImportRow::Step(actor, step)
            }),
        (ids(ActivityId), actors(), link()).prop_map(|(id, actor, session)| {
            ImportRow::Activity(Activity { id, actor, session, ..activity(ACTIVITY) })
        }),
    ];
    // Another import may have paired the source actor with PEER.
    let actors = prop_oneof![4 => Just((ME, ActorId(8))), 1 => Just((PEER, ActorId(8)))];
    let actors = actors.prop_map(|(here, there)| BTreeMap::from([(here, there)]));
    (vec(row, 0..8), actors).prop_map(|(rows, actors)| {
        TransferAction::Import(Import { source: uid(7_000), actors, rows })
    })
}

fn writes() -> impl Strategy<Value = ResourceAction> {
    let starts = (actors(), uids(), maybe(texts()))
        .prop_map(|(actor, uid, notes)| ResourceAction::StartSession { actor, uid, notes });
    prop_oneof![
        2 => starts.boxed(),
        5 => session_patches().boxed(),
        1 => ids(SessionId).prop_map(ResourceAction::DeleteSession).boxed(),
        4 => new_todos().boxed(),
        12 => todo_patches().boxed(),
        8 => claims().boxed(),
        2 => releases().boxed(),
        1 => (ids(TodoId), tokens()).prop_map(|(id, claim_token)| ResourceAction::DeleteTodo { id, claim_token }).boxed(),
        4 => new_activities().boxed(),
        2 => ids(ActivityId).prop_map(ResourceAction::DeleteActivity).boxed(),
    ]
}

fn homes() -> impl Strategy<Value = AccountId> {
    prop_oneof![4 => Just(HOME), 1 => Just(ABROAD)]
}

fn bearers() -> impl Strategy<Value = KeyBearer> {
    let roles = proptest::sample::select(Role::ALL);
    let epochs = prop_oneof![9 => Just(EPOCH), 1 => Just(EPOCH - 1)];
    (homes(), actors(), roles, 0..4_usize, epochs).prop_map(
        |(account, actor, role, fate, auth_epoch)| {
            let key = keys_of(actor)[fate].id;
            KeyBearer { account, actor, role, key, sign_in: None, auth_epoch, ends_at: None }
        },
    )
}

pub(super) fn commands() -> impl Strategy<Value = Command> {
    let charges = prop_oneof![
        6 => Just(Some(Charge::write(ROUTE))),
        1 => (0..4_i64).prop_map(|cost| Some(Charge { cost, endpoint: "PATCH /route/{id}" })),
        1 => Just(None),
    ];
    // Of 34 commands of keys 3 are imports.
    let by_key = prop_oneof![
        31 => (bearers(), writes())
            .prop_map(|(bearer, action)| Action::Resource(bearer, action))
            .boxed(),
        3 => (bearers(), imports())
            .prop_map(|(bearer, action)| Action::Transfer(bearer, action))
            .boxed(),
    ];
    let by_key = (by_key, charges, times())
        .prop_map(|(action, charge, at)| Command { charge, ..Command::uncharged(action, at) });
    let of_grant = prop_oneof![4 => homes(), 1 => Just(AccountId(9))];
    let grants =
        (of_grant, 1..5_i64, any::<bool>(), times()).prop_map(|(home, amount, note, at)| {
            let note = note.then(|| name("refill"));
            let action = OperatorAction::GrantCredits { account: home, amount, note };
            Command::uncharged(Action::Operate(Operator::CommandLine, action), at)
        });
    prop_oneof![20 => by_key.boxed(), 1 => grants.boxed()]
}
