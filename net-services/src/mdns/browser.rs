//! The browser: asks, and keeps what is answered.

use domain::base::Rtype;
use net_core::time::Instant;

use super::cache;
use super::data::Data;
use super::engine::{Context, Query};
use super::message::Incoming;
use super::name::NameRef;
use super::network::Network;
use super::pool::Pool;
use super::questions;
use super::{MdnsError, QuestionId};

/// The questions of this device, and what others have told.
pub(super) struct Browser<'d> {
    questions: Pool<'d, questions::Entry>,
    records: Pool<'d, cache::Entry>,
}

impl<'d> Browser<'d> {
    pub(super) fn new(questions: Pool<'d, questions::Entry>, records: Pool<'d, cache::Entry>) -> Self {
        Self { questions, records }
    }

    pub(super) fn network_changed(&mut self, _cx: &mut Context<'_>, _before: &Network) {
        self.records.clear();
    }

    pub(super) fn handle_response(&mut self, _cx: &mut Context<'_>, _message: &Incoming<'_>, _multicast: bool) {}

    /// Looks at a query of another host: it may spare us asking the same (RFC 6762 section 7.3), and what nobody answers
    /// to it may be gone (section 10.5).
    pub(super) fn observe_query(&mut self, _cx: &mut Context<'_>, _query: &Query<'_>) {}

    /// Composes the next query that is due; gives its length.
    pub(super) fn poll_transmit(&mut self, _cx: &mut Context<'_>, _buffer: &mut [u8]) -> Option<usize> {
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    pub(super) fn ask(
        &mut self,
        _cx: &mut Context<'_>,
        _name: &NameRef<'_>,
        _rtype: Rtype,
        _follow: bool,
    ) -> Result<QuestionId, MdnsError> {
        Err(MdnsError::Full)
    }

    pub(super) fn forget(&mut self, _id: QuestionId) {}

    pub(super) fn question(&self, _id: QuestionId) -> Option<(NameRef<'_>, Rtype)> {
        None
    }

    /// Another number whenever what [`visit`](Self::visit) shows has changed.
    pub(super) fn generation(&self) -> u32 {
        self.questions.len() as u32
    }

    /// Shows cached records of that name and type; of a type that the name is known not to have, its NSEC record.
    pub(super) fn visit(&self, _now: Instant, _name: &NameRef<'_>, _rtype: Rtype, _visitor: &mut dyn FnMut(&Data<'_>)) {
    }
}
