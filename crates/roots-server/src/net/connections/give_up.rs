//! The rule for which connection is given up if all places are taken.

use std::cmp::Reverse;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionActivity {
    /// No request is in flight. `since_micros` is on the clock that all connections share.
    Idle {
        /// When the last answer was handed over for sending, or when the connection was accepted.
        since_micros: u64,
    },
    /// The server waits for the rest of a request.
    Unfinished {
        /// Bytes of that request that arrived in the last 10 s.
        recent_bytes: u64,
    },
    /// The server has work: it owes an answer, or has unread bytes.
    Served,
}

/// The data of an open connection on which the choice depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldConnection {
    /// How many connections its address holds.
    pub(crate) of_address: usize,
    /// Whether its peer is a proxy whose clients can't be told apart here.
    pub(crate) is_trusted_proxy: bool,
    /// What it is doing.
    pub(crate) activity: ConnectionActivity,
}

/// The rank of a connection: the lowest is given up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GiveUpRank {
    is_trusted_proxy: bool,
    of_address: Reverse<usize>,
    reason: GiveUpReason,
}

impl GiveUpRank {
    /// The reason to give it up.
    pub(crate) fn reason(self) -> GiveUpReason {
        self.reason
    }
}

/// Why a connection may be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GiveUpReason {
    /// It is idle since then.
    Idle(u64),
    /// Its request is unfinished. The number of bytes that arrived lately.
    Unfinished(u64),
}

/// The rank of a connection, if it may be given up at all. The address with the most connections
/// comes first; of its connections the longest idle one, and then the one with the fewest bytes
/// lately. Connections of trusted proxies come after all others, and only while they are idle. A
/// connection that is being served is never given up, nor one of an address with fewer than
/// `newcomer_holds` connections, the number of the new connection's address: a client whose own
/// connections are all being served takes no place from clients with fewer.
pub(crate) fn rank(held: &HeldConnection, newcomer_holds: usize) -> Option<GiveUpRank> {
    if held.of_address < newcomer_holds {
        return None;
    }
    let reason = match held.activity {
        ConnectionActivity::Idle { since_micros } => GiveUpReason::Idle(since_micros),
        ConnectionActivity::Unfinished { recent_bytes } if !held.is_trusted_proxy => {
            GiveUpReason::Unfinished(recent_bytes)
        }
        ConnectionActivity::Unfinished { .. } | ConnectionActivity::Served => return None,
    };
    let of_address = Reverse(held.of_address);
    Some(GiveUpRank { is_trusted_proxy: held.is_trusted_proxy, of_address, reason })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const fn idle(since_micros: u64) -> ConnectionActivity {
        ConnectionActivity::Idle { since_micros }
    }

    const fn unfinished(recent_bytes: u64) -> ConnectionActivity {
        ConnectionActivity::Unfinished { recent_bytes }
    }

    /// An address, whether it is a trusted proxy's, and what a connection of it is doing.
    type Open = (u8, bool, ConnectionActivity);

    fn held(open: &[Open], at: usize) -> HeldConnection {
        let (address, is_trusted_proxy, activity) = open[at];
        let of_address = open.iter().filter(|other| other.0 == address).count();
        HeldConnection { of_address, is_trusted_proxy, activity }
    }

    /// Which of them is given up for a client that has none.
    fn chosen(open: &[Open]) -> Option<usize> {
        chosen_for(0, open)
    }

    fn chosen_for(newcomer_holds: usize, open: &[Open]) -> Option<usize> {
        let ranks =
            (0..open.len()).filter_map(|at| Some((rank(&held(open, at), newcomer_holds)?, at)));
        ranks.min().map(|(_, at)| at)
    }

    #[test]
    fn the_address_that_holds_the_most_gives_up_its_longest_idle_connection() {
        let open = [
            (1, false, idle(1)),
            (2, false, idle(30)),
            (2, false, idle(20)),
            (2, false, unfinished(0)),
            (2, false, ConnectionActivity::Served),
        ];
        assert_eq!(chosen(&open), Some(2));
    }

    #[test]
    fn without_an_idle_connection_the_one_that_brought_the_fewest_bytes_goes() {
        let open = [
            (1, false, idle(1)),
            (2, false, unfinished(30)),
            (2, false, unfinished(20)),
            (2, false, ConnectionActivity::Served),
        ];
        assert_eq!(chosen(&open), Some(2));
    }

    #[test]
    fn an_address_whose_connections_are_all_served_is_passed_over() {
        let served = (1, false, ConnectionActivity::Served);
        let open = [served, served, served, (2, false, unfinished(9)), (2, false, unfinished(8))];
        assert_eq!(chosen(&open), Some(4));
        assert_eq!(chosen(&[served, (2, false, ConnectionActivity::Served)]), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_client_evicts_no_connection_of_an_address_that_holds_fewer() {
        let served = (1, false, ConnectionActivity::Served);
        let open = [served, served, (2, false, idle(1)), (3, false, idle(2)), (3, false, idle(3))];
        assert_eq!(chosen_for(2, &open), Some(3));
        assert_eq!(chosen_for(3, &open), None);
        let own_idle_one = [served, served, (1, false, idle(9)), (2, false, idle(1))];
        assert_eq!(chosen_for(3, &own_idle_one), Some(2));
    }

    #[test]
    fn among_addresses_that_hold_equally_many_the_longest_idle_connection_goes() {
        let open = [
            (1, false, unfinished(0)),
            (2, false, idle(5)),
            (3, false, idle(4)),
            (4, false, idle(6)),
        ];
        assert_eq!(chosen(&open), Some(2));
    }

    #[test]
    fn a_trusted_proxy_yields_an_idle_connection_after_all_others() {
        let proxy = [(9, true, idle(1)), (9, true, idle(0)), (9, true, unfinished(0))];
        let mut open = proxy.to_vec();
        assert_eq!(chosen(&open), Some(1));
        open.push((1, false, ConnectionActivity::Served));
        assert_eq!(chosen(&open), Some(1));
        open.push((2, false, unfinished(1_000_000)));
        assert_eq!(chosen(&open), Some(4));
        assert_eq!(
            chosen(&[(9, true, unfinished(0)), (9, true, ConnectionActivity::Served)]),
            None
        );
    }

    fn any_activity() -> impl Strategy<Value = ConnectionActivity> {
        prop_oneof![
            (0..50_u64).prop_map(idle),
            (0..50_u64).prop_map(unfinished),
            Just(ConnectionActivity::Served),
        ]
    }

    proptest! {
        #[test]
        fn the_choice_among_random_connections_follows_the_rule(
            open in vec((0..6_u8, any_activity()), 0..40)
                .prop_map(|open| open.into_iter().map(|(a, x)| (a, a == 0, x)).collect::<Vec<Open>>()),
        ) {
            let is_idle = |activity| matches!(activity, ConnectionActivity::Idle { .. });
            let may_go = |(_, is_proxy, activity): &Open| {
                is_idle(*activity) || (!is_proxy && *activity != ConnectionActivity::Served)
            };
            let Some(at) = chosen(&open) else {
                prop_assert!(!open.iter().any(may_go));
                return Ok(());
            };
            let (address, is_proxy, activity) = open[at];
            prop_assert!(may_go(&open[at]));
            for (other, with) in open.iter().enumerate().filter(|(_, with)| may_go(with)) {
                prop_assert!(!is_proxy || with.1, "another than a proxy's could have gone");
                if with.1 == is_proxy {
                    prop_assert!(held(&open, other).of_address <= held(&open, at).of_address);
                }
                if with.0 == address {
                    match (activity, with.2) {
                        (ConnectionActivity::Idle { since_micros: gone }, ConnectionActivity::Idle { since_micros }) => {
                            prop_assert!(gone <= since_micros);
                        }
                        (ConnectionActivity::Unfinished { recent_bytes: gone }, ConnectionActivity::Unfinished { recent_bytes }) => {
                            prop_assert!(gone <= recent_bytes);
                        }
                        (gone, _) => prop_assert!(is_idle(gone), "an idle one could have gone"),
                    }
                }
            }
        }
    }
}
