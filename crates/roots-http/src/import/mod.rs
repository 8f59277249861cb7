//! `/import`: a file of JSON lines, imported as it arrives.

mod lines;
pub(crate) mod report;

use std::mem;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse, Response};
use roots_domain::command::Refusal;
use roots_domain::model::Invalid;
use roots_domain::model::id::{ActorId, positive};
use roots_domain::model::import::{IMPORT_MAX_ROWS, Origin, OriginKind};
use roots_domain::model::import_file::{ImportFile, MissingPlace};
use roots_domain::model::source_row::SourceRow;
use roots_domain::service::WriteError;
use roots_domain::service::imports::{Batch, ImportMode, Importing, RowOutcome};
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::lines::{Came, Header, ImportLine, LineReader, RawLine, TOO_LONG, read, validate};
use self::report::{ImportBody, ImportedCounts, LineErrors, MissingCounts, MissingLine};
use crate::app::App;
use crate::wire::{DRY_RUN, IMPORT_PATH};
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::{ERRORS_MAX, InvalidField, InvalidNoted};
use roots_http_core::request::json::{is_compressed, is_utf_8_of, object};
use roots_http_core::request::query::{FromParams, Params, Query, flag};
use roots_http_core::schema;
use roots_http_core::shutdown::Shutdown;
use roots_http_core::wire::ACCEPT_POST;
use roots_http_core::wire::NDJSON;

/// How many bytes of lines are collected before they are written; the last line may exceed it.
const TAKEN_BYTES: usize = 512 * 1024;
/// Longest time until the caller's key is checked again and waiting rows are written.
const CHECK_PERIOD: Duration = Duration::from_secs(5);

/// The route of imports.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(import))
}

/// The options of an import.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// The actor that all rows will belong to. Without it, the owner's rows become the owner's, and
    /// a member's rows go to a member of the same name and kind.
    #[param(value_type = Option<i64>, minimum = 1)]
    actor_id: Option<ActorId>,
    /// Skip rows before this line. The header and the actors are still read.
    #[param(value_type = Option<i64>, minimum = 1, default = 1)]
    from_line: u64,
    /// Delete rows that were imported from the same account before and are missing in the file.
    /// Each costs 1 credit. This needs an export of the whole account. It deletes nothing unless
    /// the file `is_whole` and all its rows can be read.
    #[param(value_type = Option<bool>, default = false)]
    delete_missing: bool,
    /// Only check the whole file and report what the import would cost. Nothing is written or
    /// charged.
    #[param(value_type = Option<bool>, default = false)]
    dry_run: bool,
}

impl FromParams for ImportQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let not_positive = || Invalid::new("must be a positive integer");
        let actor_id =
            params.take("actor_id", |text| ActorId::parse(&text).ok_or_else(not_positive));
        let from_line = params.take("from_line", |text| {
            positive(&text).map(i64::unsigned_abs).ok_or_else(not_positive)
        });
        let delete_missing = params.take("delete_missing", |text| flag(&text));
        let dry_run = params.take(DRY_RUN, |text| flag(&text));
        Ok(Self {
            actor_id: actor_id?,
            from_line: from_line?.unwrap_or(1),
            delete_missing: delete_missing?.unwrap_or_default(),
            dry_run: dry_run?.unwrap_or_default(),
        })
    }
}

/// The error of a row that does not fit the account.
fn error_of(refusal: &Refusal) -> InvalidField {
    let field = match refusal {
        Refusal::NoSuchSession(_) => "session_id",
        Refusal::NotFound("todo") => "todo_id",
        Refusal::NoSuchActor(_) => "actor_id",
        Refusal::TooManyActivityTypes => "activity_type",
        Refusal::StepFromOtherStatus { .. } => "old_status",
        Refusal::ForbiddenStep { .. } => "new_status",
        Refusal::Contradicts(origin) => match origin {
            Origin::Actor(_) => "actor_id",
            Origin::Session(_) => "session_id",
            Origin::Todo(_) => "todo_id",
            Origin::Step(_) => "log_id",
            Origin::Activity(_) => "activity_id",
        },
        _ => "line",
    };
    InvalidField { field: field.to_owned(), message: refusal.to_string() }
}

/// A running import.
struct Taking {
    caller: Bearer,
    importing: Importing,
    from_line: u64,
    file: ImportFile,
    report: ImportBody,
    /// Lines that wait, in order, to be written or to be reported with their errors.
    waiting: Vec<(u64, Result<SourceRow, Vec<InvalidField>>)>,
    waiting_bytes: usize,
    /// The last line that was processed.
    through: u64,
    /// When the caller's key was last checked.
    checked_at: Instant,
}

impl Taking {
    async fn take_all(
        &mut self,
        lines: &mut LineReader,
        shutdown: &mut Shutdown,
    ) -> Result<(), Problem> {
        loop {
            match next(lines, shutdown, self.checked_at + CHECK_PERIOD).await? {
                Came::ImportLine(number, line) => {
                    let bytes = line.as_ref().map_or(0, Vec::len);
                    let (row, line) = read(number, &line);
                    self.file.count(row);
                    match line {
                        Ok(line) => self.take(number, bytes, line).await?,
                        Err(errors) => {
                            self.file.note_unreadable();
                            self.wait(number, bytes, Err(errors)).await?;
                        }
                    }
                    if self.waiting.is_empty() {
                        self.through = number;
                    }
                }
                Came::Nothing => self.write().await?,
                // At the end the key and the balance are checked, even if no row arrived.
                Came::End => {
                    self.write().await?;
                    return self.find_missing().await;
                }
            }
        }
    }

    fn faulty(&mut self, line: u64, errors: Vec<InvalidField>) {
        self.report.faulty += 1;
        if self.report.faults.len() < ERRORS_MAX {
            self.report.faults.push(LineErrors { line, errors });
        }
    }

    async fn take(&mut self, number: u64, bytes: usize, line: ImportLine) -> Result<(), Problem> {
        match line {
            ImportLine::Header(_) => {
                let message = "is only allowed on the first line".to_owned();
                let error = InvalidField { field: "kind".to_owned(), message };
                self.wait(number, bytes, Err(vec![error])).await?;
            }
            ImportLine::Actor(actor) => {
                if !self.waiting.is_empty() {
                    self.write().await?;
                }
                if let Err(refusal) = self.importing.actor(actor).await? {
                    self.faulty(number, vec![error_of(&refusal)]);
                }
            }
            ImportLine::Row(row) if number >= self.from_line => {
                self.wait(number, bytes, Ok(*row)).await?;
            }
            ImportLine::End(counts, total) => self.file.end(counts, total),
            ImportLine::Row(row) => self.importing.pass_over(&row),
            ImportLine::Error => {}
        }
        Ok(())
    }

    /// Reports the rows that are missing in the file, and deletes them if requested.
    async fn find_missing(&mut self) -> Result<(), Problem> {
        let mut missing = MissingCounts::default();
        let mut at = Some(MissingPlace::FIRST);
        while let Some(place) = at {
            let found = self.importing.missing(&self.file, place).await;
            let Some((rows, next)) = found.map_err(WriteError::Store)? else { return Ok(()) };
            for row in rows {
                match place.kind {
                    OriginKind::Session => missing.sessions += 1,
                    OriginKind::Todo => missing.todos += 1,
                    _ => missing.activities += 1,
                }
                if missing.rows.len() < ERRORS_MAX {
                    missing.rows.push(MissingLine {
                        kind: place.kind.name(),
                        id: row.here,
                        source_id: row.origin.id(),
                    });
                }
                if self.file.deletes_missing() {
                    let deleted = self.importing.delete(row).await;
                    let (cost, balance) = self.caller.checked(deleted)?;
                    self.report.deleted += 1;
                    self.report.cost += cost;
                    self.report.balance = Some(balance);
                }
            }
            at = next;
        }
        self.report.missing = Some(missing);
        Ok(())
    }

    /// Queues a line, to be written together with others.
    async fn wait(
        &mut self,
        number: u64,
        bytes: usize,
        line: Result<SourceRow, Vec<InvalidField>>,
    ) -> Result<(), Problem> {
        match line {
            Err(errors) if self.waiting.is_empty() => {
                self.faulty(number, errors);
                return Ok(());
            }
            line => self.waiting.push((number, line)),
        }
        self.waiting_bytes += bytes;
        if self.waiting.len() >= IMPORT_MAX_ROWS || self.waiting_bytes >= TAKEN_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes the waiting rows and records the result of each line, up to the first one that the
    /// credits do not cover. If no row waits, it only checks the caller's key.
    async fn write(&mut self) -> Result<(), Problem> {
        self.waiting_bytes = 0;
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for (number, line) in mem::take(&mut self.waiting) {
            match line {
                Ok(row) => {
                    lines.push((number, Ok(counter(&row))));
                    rows.push(row);
                }
                Err(errors) => lines.push((number, Err(errors))),
            }
        }
        let written = self.importing.rows(rows).await;
        let Batch { outcomes, cost, balance } = self.caller.checked(written)?;
        self.checked_at = Instant::now();
        self.report.cost += cost;
        self.report.balance = Some(balance);
        let mut outcomes = outcomes.into_iter();
        for (number, line) in lines {
            match line {
                Err(errors) => self.faulty(number, errors),
                Ok(counter) => match outcomes.next() {
                    Some(Ok(RowOutcome::Added)) => *counter(&mut self.report.imported) += 1,
                    Some(Ok(known)) => {
                        self.report.already_imported += 1;
                        self.report.updated += u64::from(known == RowOutcome::Updated);
                        self.report.unchanged += u64::from(known == RowOutcome::Unchanged);
                    }
                    Some(Err(refusal @ Refusal::InsufficientCredits { .. })) => {
                        return Err(refusal.into());
                    }
                    Some(Err(refusal)) => self.faulty(number, vec![error_of(&refusal)]),
                    None => return Err(Problem::internal("a row of an import has no outcome")),
                },
            }
            self.through = number;
        }
        Ok(())
    }
}

fn counter(row: &SourceRow) -> fn(&mut ImportedCounts) -> &mut u64 {
    match row {
        SourceRow::Session(_) => |counts| &mut counts.sessions,
        SourceRow::Todo(_) => |counts| &mut counts.todos,
        SourceRow::Step(_) => |counts| &mut counts.todo_logs,
        SourceRow::Activity(_) => |counts| &mut counts.activities,
    }
}

/// Import
///
/// Imports an export, a file of JSON lines. Times and links are kept; rows get new ids. Each line
/// is written completely or not at all. A line with errors is reported, and the import continues
/// with the next one.
///
/// After an interruption, send the same file again. A newer export of the same account brings the
/// changes made since. A todo is updated if its `updated_at` is newer, and gets the steps that its
/// log lacks. A session gets its end and its notes, unless it has ended only here. Rows deleted
/// here stay deleted. Rows deleted in the source are reported as `missing`, and deleted here with
/// `delete_missing=true`. An id that comes again with different content and is not newer is an
/// error of its line.
///
/// Each row that is written, updated or deleted costs 1 credit: a session, a todo, a step of its
/// log, an activity. Actors, lines with errors and rows that are already there cost nothing. If
/// credits run out, the import ends with 402: rows written before that stay and are paid for, and
/// `import.from_line` is the line to continue from once there are credits. `dry_run=true` checks
/// the whole file and reports what the import would cost.
#[utoipa::path(
    post, path = IMPORT_PATH, operation_id = "import", tag = "accounts",
    params(ImportQuery),
    request_body(content = schema::Lines, content_type = "application/x-ndjson", description = "An export, from its first line on. It may have any number of lines, each of up to 1 MiB."),
    responses(
        (status = 200, description = "The result of the import.", body = ImportBody, example = json!({
            "dry_run": false,
            "lines": 8,
            "imported": {"sessions": 1, "todos": 1, "todo_logs": 2, "activities": 1},
            "already_imported": 0,
            "updated": 0,
            "unchanged": 0,
            "missing": {"sessions": 0, "todos": 0, "activities": 0, "rows": []},
            "deleted": 0,
            "faulty": 0,
            "faults": [],
            "is_whole": true,
            "cost": 5,
            "balance": 95
        })),
        (status = 402, description = "Credits ran out. The lines before `import.from_line` were imported."),
        (status = 403, description = "The caller is not the owner, or the account is suspended."),
        (status = 422, description = "The first line is not a header, or the file is an export of this account."),
        (status = 429, description = "The account has two imports running, or the server has 16, or a rate limit is reached. An import that is not a dry run counts as a change of keys.")
    )
)]
async fn import(
    State(app): State<App>,
    caller: Bearer,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_media_type(&headers)?;
    let _place = app.imports.begin(caller.account.id)?;
    if !query.dry_run {
        caller.count_noted()?;
    }
    let mode = if query.dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let mut lines = LineReader::new(body);
    let mut shutdown = app.shared.shutdown.clone();
    let first = first(&mut lines, &mut shutdown, &app, &caller, mode).await?;
    let Header { source, actor } = header_of(first)?;
    let file = ImportFile::new(actor, query.delete_missing).map_err(|invalid| {
        let (field, message) = ("actor_id".to_owned(), invalid.to_string());
        Problem::invalid_body(vec![InvalidField { field, message }])
    })?;
    let begun = app.services.imports.begin(caller.caller(), source, query.actor_id, mode).await;
    let mut taking = Taking {
        importing: caller.checked(begun)?,
        caller,
        from_line: query.from_line,
        file,
        report: ImportBody { dry_run: query.dry_run, ..ImportBody::default() },
        waiting: Vec::new(),
        waiting_bytes: 0,
        through: 1,
        checked_at: Instant::now(),
    };
    let outcome = taking.take_all(&mut lines, &mut shutdown).await;
    let Taking { file, mut report, through, .. } = taking;
    report.is_whole = file.is_whole();
    match outcome {
        Ok(()) => {
            report.lines = lines.count;
            report.is_covered =
                report.balance.filter(|_| report.dry_run).map(|left| report.cost <= left);
            Ok((AppendHeaders(report.credit_headers()), axum::Json(report)).into_response())
        }
        Err(problem) => Err(report.ended_after(through, problem)),
    }
}

/// The first line, if there is one. A line that is too long is not read to its end. The caller's
/// key is checked before the first wait, and at least every [`CHECK_PERIOD`] while nothing arrives.
async fn first(
    lines: &mut LineReader,
    shutdown: &mut Shutdown,
    app: &App,
    caller: &Bearer,
    mode: ImportMode,
) -> Result<Option<(u64, RawLine)>, Problem> {
    loop {
        caller.checked(app.services.imports.check(caller.caller(), mode).await)?;
        match next(lines, shutdown, Instant::now() + CHECK_PERIOD).await? {
            Came::ImportLine(number, line) => return Ok(Some((number, line))),
            Came::End => return Ok(None),
            Came::Nothing if lines.is_too_long => return Ok(Some((lines.count + 1, Err(())))),
            // The client is too slow, or the line will come.
            Came::Nothing => {}
        }
    }
}

/// The next line, unless the service shuts down first.
async fn next(
    lines: &mut LineReader,
    shutdown: &mut Shutdown,
    until: Instant,
) -> Result<Came, Problem> {
    tokio::select! {
        biased;
        () = shutdown.begun() => Err(Problem::shutting_down()),
        came = lines.next(until) => came,
    }
}

/// Parses the first line.
fn header_of(first: Option<(u64, RawLine)>) -> Result<Header, Problem> {
    let error = |field: &str, message: &str| {
        vec![InvalidField { field: field.to_owned(), message: message.to_owned() }]
    };
    let errors = match first {
        Some((_, Err(()))) => error("line", TOO_LONG),
        Some((number, Ok(line))) => {
            match validate(object(&line).map_err(|invalid| invalid.at_line(number))?) {
                (_, Ok(ImportLine::Header(header))) => return Ok(header),
                (_, Ok(_)) => error("kind", "must be export on the first line"),
                (_, Err(errors)) => errors,
            }
        }
        None => error("kind", "must be export on the first line"),
    };
    Err(Problem::invalid_body(errors))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    if is_utf_8_of(headers, NDJSON) && !is_compressed(headers) {
        return Ok(());
    }
    let detail = "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so.";
    let accepted = (ACCEPT_POST, HeaderValue::from_static(NDJSON));
    Err(Problem::new(ProblemKind::UnsupportedMediaType, detail).with_headers([accepted]))
}
