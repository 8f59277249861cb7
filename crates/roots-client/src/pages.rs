//! Lists: a page of one, or all of its rows.

use futures_util::stream::{self, Stream, TryStreamExt};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Page, PageStart, Paging, Query};
use crate::operation::Operation;

/// A page of a list, with the filters of `query`.
pub(crate) async fn page<P: DeserializeOwned>(
    client: &Client,
    list: Operation,
    mut query: Query,
    paging: &Paging,
) -> Result<P, Error> {
    paging.add_to(&mut query);
    client.send(&Call::new(list).with_query(query)).await?.json()
}

/// All rows of a list, in its order, with the filters of `query`. Pages of up to 100 rows are got
/// as they are needed, each once. The stream ends with the first error.
pub(crate) fn rows<P: Page + DeserializeOwned>(
    client: &Client,
    list: Operation,
    query: Query,
) -> impl Stream<Item = Result<P::Item, Error>> {
    stream::try_unfold(Some(PageStart::First), move |start| {
        let query = query.clone();
        async move {
            let Some(start) = start else { return Ok(None) };
            let page: P = page(client, list, query, &Paging::largest(start)).await?;
            let (rows, next) = page.into_rows();
            let rows = stream::iter(rows.into_iter().map(Ok));
            Ok::<_, Error>(Some((rows, next.map(PageStart::Cursor))))
        }
    })
    .try_flatten()
}
