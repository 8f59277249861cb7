//! The order in which queued writes are taken: accounts take turns.
//!
//! A plain data structure. It knows neither threads nor time; `queue.rs` holds it under a lock.

use std::collections::{HashMap, VecDeque};

use roots_domain::model::id::AccountId;

/// From this number of items on, the queue accepts only accounts that have less than their share.
pub(super) const QUEUE_MAX_COMMANDS: usize = 512;
/// From this number of items on, it accepts only accounts that have none. So however many items a
/// few accounts push, the places up to [`QUEUE_BOUND_COMMANDS`] stay free for others, one for each.
const QUEUE_SHARED_COMMANDS: usize = QUEUE_MAX_COMMANDS + QUEUE_MAX_COMMANDS / 2;
/// The maximum number of items.
pub(super) const QUEUE_BOUND_COMMANDS: usize = 2 * QUEUE_MAX_COMMANDS;

/// Most lanes of a batch. With fewer, a batch has more commands of each lane, which share its
/// costs; with more, they share those of the transaction (ADR 60).
const LANES_MAX: usize = 4;

/// The flow that an item belongs to. Flows take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Flow {
    /// That account's.
    Account(AccountId),
    /// The one of all items without an account.
    NoAccount,
}

/// Most items of an account in a batch from which accounts of other lanes are left out.
const ROUNDS_MAX: usize = 2;

/// The number of the shard that an item's account is in, on a cluster. Elsewhere all items have
/// lane 0.
pub(super) type Lane = i64;

/// Waiting items, each of one account. Those without an account count as one account's.
///
/// - Items of one account are taken in the order in which they were pushed.
/// - Accounts take turns, item by item.
/// - A batch has items of at most [`LANES_MAX`] lanes, beginning with those of the accounts whose
///   turns are next. Accounts of other lanes keep their turns, so each lane gets its batch. If some
///   are left out, no account has more than [`ROUNDS_MAX`] items in the batch.
/// - An item that stands alone is a batch of its own. Such batches alternate with shared ones, so a
///   single write waits for at most one of them, however many accounts have such items queued.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    items: HashMap<Flow, VecDeque<Item<T>>>,
    /// Accounts whose next item shares a batch, and those whose next item stands alone, in the
    /// order of their turns. An account with items is in exactly one of the two.
    shared: VecDeque<Flow>,
    alone: VecDeque<Flow>,
    len: usize,
    /// The last batch was a shared one, so an item that stands alone goes first.
    alone_is_next: bool,
}

#[derive(Debug)]
struct Item<T> {
    stands_alone: bool,
    lane: Lane,
    value: T,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            shared: VecDeque::new(),
            alone: VecDeque::new(),
            len: 0,
            alone_is_next: false,
        }
    }
}

impl<T> FairQueue<T> {
    /// Whether there is space for another item of that account.
    ///
    /// Below [`QUEUE_MAX_COMMANDS`] items there always is. From then on, an account may have its
    /// share: [`QUEUE_MAX_COMMANDS`] divided by the number of accounts that have items (itself
    /// included), at least 1. From [`QUEUE_SHARED_COMMANDS`] on an account may have 1, and at
    /// [`QUEUE_BOUND_COMMANDS`] none.
    pub(super) fn has_room(&self, flow: Flow) -> bool {
        if self.len < QUEUE_MAX_COMMANDS {
            return true;
        }
        let own = self.items.get(&flow).map_or(0, VecDeque::len);
        let accounts = self.items.len() + usize::from(own == 0);
        let share = (QUEUE_MAX_COMMANDS / accounts).max(1);
        let bound = if own == 0 { QUEUE_BOUND_COMMANDS } else { QUEUE_SHARED_COMMANDS };
        own < share && self.len < bound
    }

    /// Adds an item behind the others of its account. It does not check for space: see
    /// [`Self::has_room`].
    pub(super) fn push(&mut self, flow: Flow, lane: Lane, stands_alone: bool, value: T) {
        let items = self.items.entry(flow).or_default();
        if items.is_empty() {
            let turns = if stands_alone { &mut self.alone } else { &mut self.shared };
            turns.push_back(flow);
        }
        items.push_back(Item { stands_alone, lane, value });
        self.len += 1;
    }

    /// Takes the next batch, at most `most` items; empty only if the queue is.
    pub(super) fn take(&mut self, most: usize) -> Vec<T> {
        if !self.alone.is_empty() && (self.alone_is_next || self.shared.is_empty()) {
            self.alone_is_next = false;
            let flow = self.alone.pop_front();
            return flow.and_then(|flow| self.take_one(flow)).into_iter().collect();
        }
        self.alone_is_next = true;
        let mut batch = Vec::with_capacity(most.min(self.len));
        let (mut lanes, mut passed_over) = (Vec::new(), Vec::new());
        let (mut rounds, mut turns) = (0, 0);
        while batch.len() < most
            && let Some(flow) = self.shared.pop_front()
        {
            if turns == 0 {
                if rounds == ROUNDS_MAX && !passed_over.is_empty() {
                    passed_over.push(flow);
                    break;
                }
                rounds += 1;
                turns = self.shared.len() + 1;
            }
            turns -= 1;
            let lane = self.items.get(&flow).and_then(VecDeque::front).map(|item| item.lane);
            if !lanes.contains(&lane) {
                if lanes.len() == LANES_MAX {
                    passed_over.push(flow);
                    continue;
                }
                lanes.push(lane);
            }
            batch.extend(self.take_one(flow));
        }
        for flow in passed_over.into_iter().rev() {
            self.shared.push_front(flow);
        }
        batch
    }

    /// Takes the next item of an account whose turn was just taken, and gives it its next turn.
    fn take_one(&mut self, flow: Flow) -> Option<T> {
        let items = self.items.get_mut(&flow)?;
        let taken = items.pop_front()?;
        self.len -= 1;
        match items.front() {
            Some(Item { stands_alone: true, .. }) => self.alone.push_back(flow),
            Some(_) => self.shared.push_back(flow),
            None => {
                self.items.remove(&flow);
            }
        }
        Some(taken.value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn of(account: i64) -> Flow {
        Flow::Account(AccountId(account))
    }

    #[test]
    fn accounts_take_turns_within_a_batch_and_between_batches() {
        let mut queue = FairQueue::default();
        for number in 0..5 {
            queue.push(of(1), 0, false, (1, number));
        }
        queue.push(of(2), 0, false, (2, 0));
        queue.push(Flow::NoAccount, 0, false, (0, 0));
        assert_eq!(queue.take(4), [(1, 0), (2, 0), (0, 0), (1, 1)]);
        queue.push(of(2), 0, false, (2, 1));
        assert_eq!(queue.take(4), [(1, 2), (2, 1), (1, 3), (1, 4)]);
        assert_eq!(queue.take(4), []);
    }

    #[test]
    fn a_batch_has_items_of_four_lanes_and_accounts_of_others_are_next() {
        let mut queue = FairQueue::default();
        for account in 0..14 {
            for number in 0..2 {
                queue.push(of(account), account % 7, false, (account, number));
            }
        }
        let lanes = |batch: &[(i64, i32)]| batch.iter().map(|(account, _)| account % 7).collect();
        let first: std::collections::BTreeSet<_> = lanes(&queue.take(64));
        assert_eq!(first, [0, 1, 2, 3].into());
        queue.push(of(0), 0, false, (0, 2));
        let second = queue.take(64);
        assert_eq!(lanes(&second), [0, 4, 5, 6].into());
        assert_eq!(second.len(), 3 * 2 * 2 + 1);
        assert_eq!(queue.take(64), []);
    }

    #[test]
    fn an_account_with_many_items_has_two_in_a_batch_from_which_others_are_left_out() {
        let mut queue = FairQueue::default();
        for number in 0..20 {
            queue.push(of(0), 0, false, (0, number));
        }
        for account in 1..6 {
            queue.push(of(account), account, false, (account, 0));
        }
        assert_eq!(queue.take(64), [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)]);
        assert_eq!(queue.take(64).len(), 2 + 18);
        assert_eq!(queue.take(64), []);
    }

    #[test]
    fn single_writes_wait_for_one_import_batch_however_many_are_queued() {
        let mut queue = FairQueue::default();
        for account in 1..=24 {
            queue.push(of(account), 0, true, account);
        }
        assert_eq!(queue.take(64), [1]);
        queue.push(of(99), 0, false, 99);
        queue.push(of(98), 0, false, 98);
        assert_eq!(queue.take(64), [99, 98]);
        queue.push(of(99), 0, false, 99);
        assert_eq!(queue.take(64), [2]);
        assert_eq!(queue.take(64), [99]);
        assert_eq!([queue.take(64), queue.take(64)], [[3], [4]]);
    }

    #[test]
    fn a_standalone_item_keeps_its_order_among_the_items_of_its_account() {
        let mut queue = FairQueue::default();
        for (stands_alone, number) in [(false, 0), (true, 1), (false, 2), (false, 3)] {
            queue.push(of(1), 0, stands_alone, number);
        }
        let batches: [Vec<i32>; 3] = std::array::from_fn(|_| queue.take(64));
        assert_eq!(batches, [vec![0], vec![1], vec![2, 3]]);
    }

    #[test]
    fn a_full_queue_has_room_only_for_accounts_below_their_share() {
        let mut queue = FairQueue::default();
        for number in 0..QUEUE_MAX_COMMANDS {
            assert!(queue.has_room(of(1)));
            queue.push(of(1), 0, false, number);
        }
        assert!(!queue.has_room(of(1)));
        // Two accounts: a half of the places each.
        for number in 0..QUEUE_MAX_COMMANDS / 2 {
            assert!(queue.has_room(of(2)), "{number}");
            queue.push(of(2), 0, false, number);
        }
        assert!(!queue.has_room(of(2)));
        assert!(queue.has_room(of(3)));
    }

    #[test]
    fn a_queue_of_very_many_accounts_is_bounded() {
        let mut queue = FairQueue::default();
        for account in 1.. {
            if !queue.has_room(of(account)) {
                break;
            }
            queue.push(of(account), 0, false, account);
        }
        assert_eq!(queue.len, QUEUE_BOUND_COMMANDS);
        // An account with an item has its share.
        assert_eq!(queue.take(1), [1]);
        assert!(!queue.has_room(of(2)) && queue.has_room(of(1)));
    }

    /// There are more connections than places: only the queue limits what a few accounts push.
    #[test]
    fn a_few_accounts_leave_room_for_256_others_however_much_they_push() {
        let mut queue = FairQueue::default();
        for number in 0..16 * QUEUE_BOUND_COMMANDS {
            // One after the other, each pushes as much as it may: this way they get the most places
            // together.
            let account = of(i64::try_from(number / QUEUE_BOUND_COMMANDS).unwrap());
            if queue.has_room(account) {
                queue.push(account, 0, false, number);
            }
        }
        assert!(
            (QUEUE_SHARED_COMMANDS..QUEUE_SHARED_COMMANDS + 16).contains(&queue.len),
            "{}",
            queue.len
        );
        let mut others = 0;
        for account in (100..).map(of) {
            if !queue.has_room(account) {
                break;
            }
            queue.push(account, 0, false, 0);
            assert!(!queue.has_room(account), "one each");
            others += 1;
        }
        assert!((256 - 16..=256).contains(&others), "{others}");
        assert_eq!(queue.len, QUEUE_BOUND_COMMANDS);
    }

    #[derive(Debug, Clone)]
    enum QueueStep {
        Push { account: i64, stands_alone: bool },
        Take(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<QueueStep>> {
        let push = (0..6_i64, prop::bool::weighted(0.3))
            .prop_map(|(account, stands_alone)| QueueStep::Push { account, stands_alone });
        let take = (1..8_usize).prop_map(QueueStep::Take);
        prop::collection::vec(prop_oneof![4 => push, 1 => take], 0..200)
    }

    proptest! {
        #[test]
        fn every_item_is_taken_once_in_its_accounts_order_and_within_its_turn(steps in steps()) {
            let mut queue = FairQueue::default();
            let mut expected = BTreeMap::<i64, VecDeque<(bool, usize)>>::new();
            // How many batches in a row an account with items was left out of.
            let mut left_out = BTreeMap::<i64, usize>::new();
            let rest = std::iter::repeat_n(QueueStep::Take(3), 200);
            for (number, step) in steps.into_iter().chain(rest).enumerate() {
                match step {
                    QueueStep::Push { account, stands_alone } => {
                        let item = (account, stands_alone, number);
                        queue.push(of(account), account, stands_alone, item);
                        expected.entry(account).or_default().push_back((stands_alone, number));
                    }
                    QueueStep::Take(most) => {
                        let batch = queue.take(most);
                        prop_assert!(batch.len() <= most);
                        prop_assert_eq!(batch.is_empty(), expected.is_empty());
                        prop_assert!(batch.len() == 1 || batch.iter().all(|item| !item.1));
                        for (account, stands_alone, number) in batch {
                            let items = expected.get_mut(&account).unwrap();
                            prop_assert_eq!(items.pop_front(), Some((stands_alone, number)));
                            if items.is_empty() {
                                expected.remove(&account);
                            }
                            left_out.remove(&account);
                        }
                        for account in expected.keys() {
                            let times = left_out.entry(*account).or_default();
                            *times += 1;
                            // 5 others come before it, and as many batches of the other kind.
                            prop_assert!(*times <= 12, "account {account} was left out");
                        }
                    }
                }
                let queued: usize = expected.values().map(VecDeque::len).sum();
                prop_assert_eq!(queue.len, queued);
            }
        }
    }
}
