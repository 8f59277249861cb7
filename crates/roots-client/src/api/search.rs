//! Searches.

use futures_util::stream::{self, Stream, TryStreamExt};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Search, SearchResult, SearchResults};
use crate::operation::Operation;

impl Client {
    /// A page of the items that have all terms, the newest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn search(&self, search: &Search) -> Result<SearchResults, Error> {
        self.send(&Call::new(Operation::Search).with_json(search)?).await?.json()
    }

    /// All items that have all terms, the newest first, page by page as they are taken. The stream
    /// ends with the first error.
    pub fn search_results(
        &self,
        search: Search,
    ) -> impl Stream<Item = Result<SearchResult, Error>> {
        stream::try_unfold(Some(search), move |search| async move {
            let Some(search) = search else { return Ok(None) };
            let page = self.search(&search).await?;
            let next = page.next_cursor.map(|cursor| Search { cursor: Some(cursor), ..search });
            let results = stream::iter(page.results.into_iter().map(Ok));
            Ok::<_, Error>(Some((results, next)))
        })
        .try_flatten()
    }
}
