//! The port that tells which accounts share a database server.

use std::collections::BTreeMap;

use crate::model::id::AccountId;

/// Tells which accounts share a database server. Most databases have only one.
///
/// Work for many accounts is done server by server, so that a lost server stops only the work for
/// its own accounts.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Placement: Send + Sync {
    /// The number of the server that holds an account's rows. It may change while the process runs.
    fn server_of(&self, account: AccountId) -> usize;
}

/// Groups items by the server that holds the rows of their account, in their order.
pub fn by_server<T>(
    placement: &dyn Placement,
    items: impl IntoIterator<Item = T>,
    account: impl Fn(&T) -> AccountId,
) -> Vec<Vec<T>> {
    let mut groups = BTreeMap::<_, Vec<T>>::new();
    for item in items {
        groups.entry(placement.server_of(account(&item))).or_default().push(item);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_grouped_by_server_in_their_order() {
        let mut placement = MockPlacement::new();
        placement.expect_server_of().returning(|account| usize::from(account.0 % 2 == 0));
        let of = |items: &[i64]| by_server(&placement, items.to_vec(), |id| AccountId(*id));
        assert_eq!(of(&[]), Vec::<Vec<i64>>::new());
        assert_eq!(of(&[5, 2, 3, 4, 1]), [vec![5, 3, 1], vec![2, 4]]);
    }
}
