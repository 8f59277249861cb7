//! The stored bytes contain no text and no secret.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use roots_domain::model::Patch;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::text::LogNote;
use roots_domain::model::todo::TodoStatus;
use roots_domain::service::access::Caller;
use roots_domain::service::accounts::{AccountDraft, NewCredentials};
use roots_domain::service::todos::TodoChange;
use roots_domain::service::{IdempotentRequest, Preconditions, Services};
use roots_testkit::context::{
    TestContext, activity_draft, long_text, name, session_draft, title, todo_draft,
};
use roots_testkit::database::TestDatabase;
use sea_orm::{ConnectionTrait, Statement, Value};
use secrecy::ExposeSecret;

use crate::text_search::{FORMS, Search};

roots_testkit::on_both! { no_stored_bytes_contain_a_text_or_a_secret }

/// A text for each sealed field, and for each way to write it.
const TEXTS: [&str; 13] = [
    "Quittenzwirbelei auf der Mondscheinkapelle",
    "Neue Notizen: Überschwänglichkeit, Fliederbuschwindrose",
    "Drosselklappenpoesie eines Titels",
    "Zimtsternverschwörung als zweiter Titel",
    "Beschreibung vom Wolkenkuckucksheimer",
    "кристаллография запоминающаяся",
    "Randbemerkung Purpurschneckenrennen",
    "Schlussvermerk Lampionblumenwiese",
    "Tätigkeitsbericht Nebelkrähenflüsterer",
    "Weggeworfene Heidelbeerzentrifuge",
    "Gelöschte Kirschblütenlawine",
    "Verworfener Sternschnuppenkatalog",
    "verschwundener Zitronenfalterchor",
];
/// The idempotency key of a write, and a text in its body.
const NAMED: [&str; 2] = ["Schleiereulengezwitscher", "Rosenkohlverschwiegenheit"];
/// The name of the account, which is stored as plain text.
const NAME: &str = "Marzipankartoffelverein";
/// A text that the test itself stores in every encoding, to check that the search finds it.
const PLANTED: &str = "Rhabarberkuchenblech";

async fn no_stored_bytes_contain_a_text_or_a_secret(database: TestDatabase) {
    let context = database.context();
    let credentials = found(&context).await;
    let caller = context.admit(&credentials).await;
    write_all(&context, &caller).await;
    plant(&database).await;

    let key = credentials.api_key.expose_secret();
    let code = credentials.recovery_code.expose_secret();
    let bare_code = code.replace('-', "");
    // The prefix of a key is stored on purpose, to tell keys apart.
    let key_tail = key.strip_prefix(&credentials.key_prefix).expect("the key's own prefix");
    let secrets = [key, key_tail, code, &bare_code];
    let secret = Search::of(TEXTS.into_iter().chain(NAMED).chain(secrets));
    let (planted, named) = (Search::of([PLANTED]), Search::of([NAME]));

    let mut moments = vec![("in use", stored(&database))];
    if !database.is_postgres() {
        let files: BTreeSet<_> = moments[0].1.iter().map(|(file, _)| file.as_str()).collect();
        assert_eq!(files, ["roots.db", "roots.db-shm", "roots.db-wal"].into());
        let wal = moments[0].1.iter().find(|(file, _)| file == "roots.db-wal");
        assert!(wal.is_some_and(|(_, bytes)| !bytes.is_empty()), "nothing is left in the WAL");
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        moments.push(("after a checkpoint", stored(&database)));
        context.store.close().await;
        moments.push(("closed", stored(&database)));
    }
    for (moment, haystacks) in moments {
        let found = |search: &Search| -> BTreeSet<_> {
            haystacks.iter().flat_map(|(_, bytes)| search.found_in(bytes)).collect()
        };
        // The same search finds the texts that are stored unsealed.
        assert_eq!(found(&planted), FORMS.into(), "{moment}");
        assert!(found(&named).contains("plain"), "{moment}");
        for (place, bytes) in &haystacks {
            assert_eq!(secret.found_in(bytes), BTreeSet::new(), "{moment}, in {place}");
        }
    }
}

async fn found(context: &TestContext) -> NewCredentials {
    let draft = AccountDraft {
        name: name(NAME),
        kind: AccountKind::Customer,
        owner_name: name("An agent"),
        owner_kind: ActorKind::Agent,
        credits: 100,
    };
    context.accounts.bootstrap(draft).await.unwrap()
}

/// Writes every text, and changes and deletes some.
async fn write_all(context: &TestContext, caller: &Caller) {
    let Services { sessions, todos, activities, .. } = &context.services;
    let session = sessions
        .start(caller, session_draft(TEXTS[0]), Preconditions::default())
        .await
        .unwrap()
        .value;
    let patch = SessionPatch {
        status: Some(SessionStatusKind::Ended),
        notes: Patch::Set(long_text(TEXTS[1])),
    };
    sessions.patch(caller, session.id, patch, Preconditions::default()).await.unwrap();

    let mut draft = todo_draft(TEXTS[2]);
    draft.content.description = Some(long_text(TEXTS[4]));
    let todo = todos.create(caller, draft, Preconditions::default()).await.unwrap().value;
    let change = TodoChange {
        title: Some(title(TEXTS[3])),
        description: Patch::Set(long_text(TEXTS[5])),
        status: Some(TodoStatus::InProgress),
        note: Some(LogNote::parse(TEXTS[6]).unwrap()),
        ..TodoChange::EMPTY
    };
    todos.patch(caller, todo.id, change, Preconditions::default()).await.unwrap();
    let change = TodoChange {
        status: Some(TodoStatus::Done),
        note: Some(LogNote::parse(TEXTS[7]).unwrap()),
        ..TodoChange::EMPTY
    };
    todos.patch(caller, todo.id, change, Preconditions::default()).await.unwrap();
    let [key, request] = NAMED;
    let body = format!("{{\"description\":\"{}\",\"x\":\"{request}\"}}", TEXTS[8]);
    let idempotent = IdempotentRequest { key: key.to_owned(), request: body.into_bytes() };
    let preconditions = Preconditions { idempotent: Some(idempotent), ..Preconditions::default() };
    for is_replay in [false, true] {
        let draft = activity_draft(TEXTS[8]);
        let logged = activities.log(caller, draft, preconditions.clone()).await.unwrap();
        assert_eq!(logged.is_replay, is_replay);
    }

    let session = sessions
        .start(caller, session_draft(TEXTS[9]), Preconditions::default())
        .await
        .unwrap()
        .value;
    sessions.delete(caller, session.id, Preconditions::default()).await.unwrap();
    let mut draft = todo_draft(TEXTS[10]);
    draft.content.description = Some(long_text(TEXTS[11]));
    let todo = todos.create(caller, draft, Preconditions::default()).await.unwrap().value;
    todos.delete(caller, todo.id, Preconditions::default()).await.unwrap();
    let activity = activities
        .log(caller, activity_draft(TEXTS[12]), Preconditions::default())
        .await
        .unwrap()
        .value;
    activities.delete(caller, activity.id, Preconditions::default()).await.unwrap();
}

/// Stores [`PLANTED`] unsealed, in every encoding.
async fn plant(database: &TestDatabase) {
    let bytes = if database.is_postgres() { "BYTEA" } else { "BLOB" };
    let utf16: Vec<_> = PLANTED.encode_utf16().collect();
    let db = database.connection().await;
    db.execute_unprepared(&format!("CREATE TABLE planted (bytes {bytes}, text TEXT)"))
        .await
        .unwrap();
    let texts = [
        HEXLOWER.encode(PLANTED.as_bytes()),
        HEXUPPER.encode(PLANTED.as_bytes()),
        BASE64.encode(format!("{PLANTED}, at the start").as_bytes()),
        BASE64.encode(format!("-{PLANTED}, one byte in").as_bytes()),
        BASE64.encode(format!("--{PLANTED}, two bytes in").as_bytes()),
    ];
    let blobs = [
        PLANTED.as_bytes().to_vec(),
        utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    let texts = texts.into_iter().map(|text| ("text", Value::from(text)));
    let blobs = blobs.into_iter().map(|blob: Vec<u8>| ("bytes", Value::from(blob)));
    for (column, value) in texts.chain(blobs) {
        let sql = format!("INSERT INTO planted ({column}) VALUES ($1)");
        let insert = Statement::from_sql_and_values(db.get_database_backend(), sql, [value]);
        db.execute_raw(insert).await.unwrap();
    }
    db.close().await.unwrap();
}

/// The stored bytes by name: the files of SQLite, or a dump of PostgreSQL.
fn stored(database: &TestDatabase) -> Vec<(String, Vec<u8>)> {
    if database.is_postgres() {
        let mut dump = Command::new(roots_testkit::postgres::program("pg_dump"));
        let output = dump.arg("--dbname").arg(&database.url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let decoded = decoded(&output.stdout);
        return vec![("the dump".into(), output.stdout), ("its bytes".into(), decoded)];
    }
    let files = fs::read_dir(database.folder.path()).unwrap().map(Result::unwrap);
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

/// The bytes that a dump shows as `\x` and hex digits.
fn decoded(dump: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = dump;
    while let Some(at) = rest.array_windows().position(|window| window == b"\\x") {
        rest = &rest[at + 2..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        bytes.extend(HEXLOWER.decode(&rest[..digits / 2 * 2]).unwrap());
        // A separator, so that no match spans two values.
        bytes.push(0);
    }
    bytes
}
