//! The holder of a claim, for a reader of a brief.

use crate::model::id::SessionId;

/// The one that works on a todo in progress whose claim has not lapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody has claimed it.
    Nobody,
    /// A claim without a session.
    Unnamed,
    /// The claim of an active session.
    Active(SessionId),
    /// The claim of a session that has ended or was deleted: nobody works there any more.
    Gone,
}

/// The reader of a brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The session that it works in, if it names one.
    pub session: Option<SessionId>,
    /// How many of the sessions that the brief is about are active.
    pub active_sessions: i64,
}

impl Reader {
    /// Whether the reader may go on with a todo of this holder.
    ///
    /// A reader that names no session may be any worker. It may go on with the claims of an active
    /// session only if there is no other one.
    #[must_use]
    pub fn may_go_on(self, holder: Holder) -> bool {
        match (self.session, holder) {
            (_, Holder::Nobody | Holder::Gone) => true,
            (Some(own), Holder::Active(session)) => session == own,
            (None, Holder::Active(_)) => self.active_sessions == 1,
            (named, Holder::Unnamed) => named.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_goes_on_with_its_own_claims_and_those_that_nobody_keeps() {
        let (own, other) = (Holder::Active(SessionId(1)), Holder::Active(SessionId(2)));
        let all = [own, other, Holder::Gone, Holder::Unnamed, Holder::Nobody];
        for (session, active_sessions, expected) in [
            // It names a session, however many are active.
            (Some(1), 0, [true, false, true, false, true]),
            (Some(1), 1, [true, false, true, false, true]),
            (Some(1), 2, [true, false, true, false, true]),
            // It names none.
            (None, 0, [false, false, true, true, true]),
            (None, 1, [true, true, true, true, true]),
            (None, 2, [false, false, true, true, true]),
        ] {
            let reader = Reader { session: session.map(SessionId), active_sessions };
            assert_eq!(all.map(|holder| reader.may_go_on(holder)), expected, "{reader:?}");
        }
    }
}
