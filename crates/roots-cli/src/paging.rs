//! Pages of lists: which one to show, and where the next one is.

use clap::{Args, value_parser};
use roots_client::model::{PageStart, Paging};

use crate::output::{one_line, tell};

/// Which page of a list to show.
#[derive(Debug, Args)]
pub(crate) struct PagingArguments {
    /// The most rows to list: 20 by default
    #[arg(long, short = 'n', value_name = "1-100", value_parser = value_parser!(u32).range(1..=100))]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

impl PagingArguments {
    /// Whether anything was given.
    pub(crate) const fn is_given(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }

    /// The page, as the client asks for it.
    pub(crate) fn paging(&self) -> Paging {
        let start = self.cursor.clone().map_or(PageStart::First, PageStart::Cursor);
        Paging { limit: self.limit, start }
    }
}

/// Tells how to get the next page, if there is one.
pub(crate) fn tell_next(cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        tell(&format!("The next page: --cursor {}", one_line(cursor)));
    }
}
