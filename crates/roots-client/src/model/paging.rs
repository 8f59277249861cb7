//! Pages of lists, and the parameters that ask for them.

/// The parameters of a query, in their order.
pub(crate) type Query = Vec<(&'static str, String)>;

/// Which page of a list to get.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paging {
    /// The number of rows: 1 to 100. The server takes 20 by default.
    pub limit: Option<u32>,
    /// Where the page starts.
    pub start: PageStart,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PageStart {
    /// At the first row.
    #[default]
    First,
    /// After this number of rows.
    Offset(i64),
    /// At the `next_cursor` of the page before it. The filters must be the same.
    Cursor(String),
}

impl Paging {
    /// The page of up to 100 rows that starts there.
    pub(crate) const fn largest(start: PageStart) -> Self {
        Self { limit: Some(100), start }
    }

    pub(crate) fn add_to(&self, query: &mut Query) {
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        match &self.start {
            PageStart::First => {}
            PageStart::Offset(rows) => query.push(("offset", rows.to_string())),
            PageStart::Cursor(cursor) => query.push(("cursor", cursor.clone())),
        }
    }
}

/// A page of any list.
pub trait Page {
    /// What the list has.
    type Item;

    /// Its rows, and where the next page starts. There is no such cursor on the last page.
    fn into_rows(self) -> (Vec<Self::Item>, Option<String>);
}

macro_rules! page {
    ($(#[doc = $doc:literal])+ $name:ident { $rows:ident: $item:ident }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            /// Its rows.
            pub $rows: Vec<$item>,
            /// The number of matching rows on all pages.
            pub total: i64,
            /// The most rows of this page.
            pub limit: u32,
            /// The number of rows skipped; 0 with a cursor.
            pub offset: i64,
            /// Where the next page starts; none on the last one.
            pub next_cursor: Option<String>,
        }

        impl crate::model::Page for $name {
            type Item = $item;

            fn into_rows(self) -> (Vec<$item>, Option<String>) {
                (self.$rows, self.next_cursor)
            }
        }
    };
}

pub(super) use page;
