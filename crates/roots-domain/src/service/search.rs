//! Search: the texts of an actor or an account, opened one after the other and compared. Nothing of
//! them is kept.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::access::{ActorScope, Caller};
use super::keyrings::Keyrings;
use super::outcome::ReadError;
use crate::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use crate::model::page::SortKey;
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::search::{ItemMatch, Scratch, SearchHit, SearchKind, SearchTerms, SearchedKinds};
use crate::model::time::{TimeRange, Timestamp};
use crate::model::todo::Priority;
use crate::port::crypto::Keyring;
use crate::port::store::{
    AccountReader, ActivityReader, ItemFilter, ItemPosition, ItemSource, NOTES_CHUNK_ROWS,
    SealedItem, SearchReader, SessionReader, StoreError, StoreResult, TodoReader,
};

/// Most texts that one call opens. A call that reaches it answers with what it has.
pub const TEXTS_MAX: u64 = 200_000;
/// Most bytes of sealed texts that one call opens, as far as whole reads allow: about a second of
/// work.
const BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Most notes of a todo's log that are searched, the newest first.
pub const NOTES_MAX: u32 = 250;
/// Rows of the first read of a source. Later ones are larger, up to the maximum of their kind.
const FIRST_ROWS: u32 = 32;
/// Fewest rows of a read.
const ROWS_MIN: u32 = 8;
/// Most rows of a read of sessions or activities.
const ROWS_MAX: u32 = 256;
/// Most rows of a read of todos, which have several texts each.
const TODO_ROWS_MAX: u32 = 128;
/// A source whose last read had more bytes than this is read in smaller parts.
const READ_BYTES: u64 = 1024 * 1024;

/// Search.
#[derive(Clone)]
pub struct Search {
    /// Reads keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads sealed texts.
    pub reader: Arc<dyn SearchReader>,
    /// Reads sessions with long notes.
    pub sessions: Arc<dyn SessionReader>,
    /// Reads todos with long texts.
    pub todos: Arc<dyn TodoReader>,
    /// Reads activities with long descriptions.
    pub activities: Arc<dyn ActivityReader>,
}

/// What is searched, and where.
#[derive(Debug, Clone)]
pub struct SearchSelection {
    /// The terms that an item must have.
    pub terms: SearchTerms,
    /// The actors.
    pub scope: ActorScope,
    /// The kinds of items.
    pub kinds: SearchedKinds,
    /// Only this session and what is linked to it.
    pub session: Option<SessionId>,
    /// The items' times.
    pub range: TimeRange,
}

/// A page of what a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Found items, descending by [position](SearchHit::position).
    pub hits: Vec<SearchHit>,
    /// Where the next page starts, if anything may follow.
    pub next: Option<SortKey>,
    /// Whether the page has as many items as there are, up to its limit. If not, the call reached
    /// its own limits first.
    pub is_complete: bool,
    /// The number of texts that did not open. They match nothing.
    pub unreadable: u64,
    /// Why the keys of an actor could not be read, if so. Its texts are unreadable.
    pub broken: Option<StoreError>,
}

impl Search {
    /// Searches the newest items after a position, until it has found `limit` of them.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        selection: &SearchSelection,
        limit: u32,
        after: Option<SortKey>,
    ) -> Result<SearchPage, ReadError> {
        let SearchSelection { terms, scope, kinds, session, range } = selection;
        let filter = ItemFilter {
            by: caller.admission(),
            actor: caller.choose(*scope)?,
            session: *session,
            since: range.since,
        };
        let newest = range.until.unwrap_or(Timestamp::LAST).micros();
        let first = SortKey([newest, i64::MAX, i64::MAX]);
        let start = after.map_or(first, |after| after.min(first));
        let mut streams: Vec<_> =
            sources(*kinds).into_iter().map(|source| Stream::new(source, start)).collect();
        let mut run = Run::new(self, caller, terms, filter);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut hits = Vec::<SearchHit>::new();
        let (next, is_complete) = loop {
            while hits.len() < limit
                && let Some(hit) = next_hit(&mut streams)
            {
                // A todo whose priority changed in between may be found twice.
                if hits.last().is_none_or(|last| last.position() != hit.position()) {
                    hits.push(hit);
                }
            }
            if hits.len() >= limit {
                let goes_on = |stream: &Stream| !stream.is_over || !stream.hits.is_empty();
                let next = hits.last().filter(|_| streams.iter().any(goes_on));
                break (next.map(SearchHit::position), true);
            }
            let left = streams.iter_mut().filter(|stream| !stream.is_over);
            let Some(newest) = left.max_by_key(|stream| stream.reached) else {
                break (None, true);
            };
            if !run.may_read(newest) {
                // All sources were searched down to there.
                break (Some(newest.reached), false);
            }
            run.search(newest).await?;
        };
        let Run { unreadable, broken, .. } = run;
        Ok(SearchPage { hits, next, is_complete, unreadable, broken })
    }
}

/// The sources of these kinds. Todos are read by priority, because that is how indexes order them.
fn sources(kinds: SearchedKinds) -> Vec<ItemSource> {
    let status = kinds.status();
    let todos = Priority::ALL.into_iter().map(|priority| ItemSource::Todos { priority, status });
    let all = todos.chain([ItemSource::Sessions, ItemSource::Activities]);
    all.filter(|source| kinds.includes(source.kind())).collect()
}

/// The next of all found items, if no source can have one before it.
fn next_hit(streams: &mut [Stream]) -> Option<SearchHit> {
    let of_unfinished = streams.iter().filter(|stream| !stream.is_over);
    let reached = of_unfinished.map(|stream| stream.reached).max();
    let newest = streams.iter_mut().max_by_key(|stream| stream.first_position())?;
    let position = newest.first_position()?;
    if reached.is_none_or(|reached| position >= reached) { newest.hits.pop_front() } else { None }
}

/// A source of items, and how far it was searched.
struct Stream {
    source: ItemSource,
    /// All items before this position, and the one there, were searched.
    reached: SortKey,
    /// The rows of the next read.
    rows: u32,
    /// Whether no items are left.
    is_over: bool,
    /// What was found and not returned yet.
    hits: VecDeque<SearchHit>,
}

impl Stream {
    const fn new(source: ItemSource, start: SortKey) -> Self {
        Self { source, reached: start, rows: FIRST_ROWS, is_over: false, hits: VecDeque::new() }
    }

    fn first_position(&self) -> Option<SortKey> {
        self.hits.front().map(SearchHit::position)
    }

    /// Where the next read starts. The position may be one of another kind.
    fn before(&self) -> ItemPosition {
        let SortKey([_, at, id]) = self.source.kind().after(self.reached);
        ItemPosition { at: Timestamp::from_micros(at), id }
    }

    /// The most texts that the next read may have.
    fn texts_max(&self) -> u64 {
        let of_row = match self.source {
            ItemSource::Sessions | ItemSource::Activities => 1,
            ItemSource::Todos { .. } => 2 + u64::from(NOTES_MAX),
        };
        u64::from(self.rows) * of_row
    }

    /// Sets the rows of the next read: more after a small one, fewer after a large one.
    fn adapt(&mut self, read_bytes: u64) {
        let most = match self.source {
            ItemSource::Sessions | ItemSource::Activities => ROWS_MAX,
            ItemSource::Todos { .. } => TODO_ROWS_MAX,
        };
        self.rows = if read_bytes > READ_BYTES {
            (self.rows / 2).max(ROWS_MIN)
        } else {
            (self.rows * 2).min(most)
        };
    }
}

/// An item whose texts are being searched.
struct Candidate {
    id: i64,
    actor: ActorId,
    at: Timestamp,
    found: ItemMatch,
    title: Option<String>,
}

/// A running search.
struct Run<'a> {
    search: &'a Search,
    caller: &'a Caller,
    terms: &'a SearchTerms,
    filter: ItemFilter,
    scratch: Scratch,
    texts: u64,
    bytes: u64,
    unreadable: u64,
    broken: Option<StoreError>,
}

impl<'a> Run<'a> {
    fn new(
        search: &'a Search,
        caller: &'a Caller,
        terms: &'a SearchTerms,
        filter: ItemFilter,
    ) -> Self {
        Self {
            search,
            caller,
            terms,
            filter,
            scratch: Scratch::default(),
            texts: 0,
            bytes: 0,
            unreadable: 0,
            broken: None,
        }
    }

    /// Whether the next read of a source stays within the limits of a call.
    fn may_read(&self, stream: &Stream) -> bool {
        self.texts + stream.texts_max() <= TEXTS_MAX && self.bytes < BYTES_MAX
    }

    /// Reads and searches the next items of a source.
    async fn search(&mut self, stream: &mut Stream) -> StoreResult<()> {
        let (source, before, rows) = (stream.source, stream.before(), stream.rows);
        let bytes_before = self.bytes;
        let items = self.search.reader.items_before(&self.filter, source, before, rows).await?;
        stream.is_over = u32::try_from(items.len()).is_ok_and(|read| read < rows);
        if let Some(last) = items.last() {
            stream.reached = source.kind().position(last.at, last.id);
        }
        let short = items.iter().filter_map(|item| {
            let texts = item.texts.as_ref()?;
            Some((item.actor, texts.iter().map(|(_, text)| text).collect()))
        });
        let keys = self.keys(short).await?;
        let mut candidates = Vec::new();
        for SealedItem { id, uid, actor, at, texts } in items {
            let mut candidate =
                Candidate { id, actor, at, found: ItemMatch::default(), title: None };
            match texts {
                Some(texts) => self.add_texts(&mut candidate, keys.find(actor), uid, texts),
                None => self.add_long_texts(&mut candidate, source.kind(), uid).await?,
            }
            candidates.push(candidate);
        }
        if source.kind() == SearchKind::Todo && !candidates.is_empty() {
            self.add_notes(&mut candidates).await?;
        }
        for Candidate { id, actor, at, found, title } in candidates {
            if let Some((field, excerpt)) = found.whole(self.terms) {
                let kind = source.kind();
                stream.hits.push_back(SearchHit { kind, id, actor, at, field, excerpt, title });
            }
        }
        stream.adapt(self.bytes - bytes_before);
        Ok(())
    }

    /// Reads and adds the texts of an item that are too long to be read with others.
    async fn add_long_texts(
        &mut self,
        candidate: &mut Candidate,
        kind: SearchKind,
        uid: Uid,
    ) -> StoreResult<()> {
        let (by, id) = (self.filter.by, candidate.id);
        let mut texts = Vec::new();
        let collect = |field, text| {
            texts.push((field, text));
            Ok::<_, Infallible>(())
        };
        match kind {
            SearchKind::Session => {
                let found = self.search.sessions.session(by, SessionId(id)).await?;
                let Ok(_) = found.map(|row| row.try_map_text(collect)).transpose();
            }
            SearchKind::Todo => {
                let found = self.search.todos.todo(by, TodoId(id)).await?;
                let Ok(_) = found.map(|row| row.try_map_text(collect)).transpose();
            }
            SearchKind::Activity => {
                let found = self.search.activities.activity(by, ActivityId(id)).await?;
                let Ok(_) = found.map(|row| row.try_map_text(collect)).transpose();
            }
        }
        let actor = candidate.actor;
        let sealed = texts.iter().map(|(_, text)| text).collect();
        let keys = self.keys([(actor, sealed)]).await?;
        self.add_texts(candidate, keys.find(actor), uid, texts);
        Ok(())
    }

    /// Reads and adds the notes of todos' logs, the newest first.
    async fn add_notes(&mut self, candidates: &mut [Candidate]) -> StoreResult<()> {
        let by = self.filter.by;
        let todos: Vec<_> = candidates.iter().map(|candidate| TodoId(candidate.id)).collect();
        let mut of_todos: BTreeMap<_, _> =
            candidates.iter_mut().map(|candidate| (TodoId(candidate.id), (candidate, 0))).collect();
        let mut before = None;
        loop {
            let notes = self.search.reader.notes_before(by, &todos, before).await?;
            let is_last = notes.len() < usize::from(NOTES_CHUNK_ROWS);
            let sealed = notes.iter().filter_map(|change| {
                let (candidate, _) = of_todos.get(&change.todo)?;
                Some((candidate.actor, change.note.iter().collect()))
            });
            let keys = self.keys(sealed).await?;
            for change in notes {
                before = Some((change.todo, change.id));
                let Some((candidate, read)) = of_todos.get_mut(&change.todo) else { continue };
                if *read == NOTES_MAX {
                    // The rest of this log is skipped.
                    before = Some((change.todo, LogId(0)));
                    continue;
                }
                *read += 1;
                let texts = change.note.map(|note| (Field::LogNote, note));
                self.add_texts(candidate, keys.find(candidate.actor), change.uid, texts);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Opens texts of a row and compares them.
    fn add_texts(
        &mut self,
        candidate: &mut Candidate,
        keys: Option<&Arc<dyn Keyring>>,
        row: Uid,
        texts: impl IntoIterator<Item = (Field, Sealed)>,
    ) {
        for (field, sealed) in texts {
            self.texts += 1;
            self.bytes += sealed.0.len() as u64;
            let opened = keys.and_then(|keys| keys.open(TextPlace { field, row }, &sealed).ok());
            let Some(text) = opened.map(Zeroizing::new) else {
                self.unreadable += 1;
                continue;
            };
            candidate.found.add(self.terms, field, &text, &mut self.scratch);
            if field == Field::TodoTitle {
                candidate.title = Some(text.to_string());
            }
        }
    }

    /// The keys to open these texts, as far as they can be read.
    async fn keys<'t>(
        &mut self,
        texts: impl IntoIterator<Item = (ActorId, Vec<&'t Sealed>)>,
    ) -> StoreResult<Keyrings> {
        let reader = &*self.search.accounts;
        let (keys, broken) = Keyrings::of_readable(reader, self.caller, texts).await?;
        self.broken = self.broken.take().or(broken);
        Ok(keys)
    }
}
