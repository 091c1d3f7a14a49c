//! The responder: publishes names, defends them, answers.

use core::net::{IpAddr, SocketAddr};

use domain::base::Rtype;
use net_core::time::Instant;

use super::data::Data;
use super::engine::{Context, Query, Transmit};
use super::message::Incoming;
use super::name::NameRef;
use super::network::Network;
use super::own::Entry;
use super::pool::Pool;
use super::{Event, HostId, Label, MdnsError, Service, ServiceId};

/// A reply that is to be composed at once, where its query lies.
pub(super) struct Reply {
    pub(super) to: SocketAddr,
}

/// All that this device publishes on one interface.
pub(super) struct Responder<'d> {
    entries: Pool<'d, Entry>,
}

impl<'d> Responder<'d> {
    pub(super) fn new(entries: Pool<'d, Entry>) -> Self {
        Self { entries }
    }

    pub(super) fn network_changed(&mut self, _cx: &mut Context<'_>, _before: &Network) {}

    pub(super) fn handle_query(&mut self, _cx: &mut Context<'_>, _query: &Query<'_>) -> Option<Reply> {
        None
    }

    pub(super) fn write_reply(
        &mut self,
        _cx: &mut Context<'_>,
        _reply: &Reply,
        _buffer: &mut [u8],
    ) -> Option<Transmit> {
        None
    }

    pub(super) fn handle_response(&mut self, _cx: &mut Context<'_>, _message: &Incoming<'_>) {}

    pub(super) fn poll_transmit(&mut self, _cx: &mut Context<'_>, _buffer: &mut [u8]) -> Option<Transmit> {
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    pub(super) fn shut_down(&mut self, _cx: &mut Context<'_>) {}

    pub(super) fn is_shut_down(&self) -> bool {
        true
    }

    pub(super) fn set_host_name(&mut self, _cx: &mut Context<'_>, _name: &str) -> Result<(), MdnsError> {
        Ok(())
    }

    pub(super) fn host_name(&self) -> Label {
        Label::new()
    }

    pub(super) fn publish(&mut self, _cx: &mut Context<'_>, _service: &Service<'_>) -> Result<ServiceId, MdnsError> {
        Err(MdnsError::Full)
    }

    pub(super) fn service_name(&self, _id: ServiceId) -> Option<Label> {
        None
    }

    pub(super) fn is_established(&self, _id: ServiceId) -> bool {
        false
    }

    pub(super) fn set_txt(&mut self, _cx: &mut Context<'_>, _id: ServiceId, _txt: &[&str]) -> Result<(), MdnsError> {
        Err(MdnsError::Unknown)
    }

    pub(super) fn withdraw(&mut self, _cx: &mut Context<'_>, _id: ServiceId) -> Result<(), MdnsError> {
        Err(MdnsError::Unknown)
    }

    pub(super) fn delegate(
        &mut self,
        _cx: &mut Context<'_>,
        _name: &str,
        _addresses: &[IpAddr],
    ) -> Result<HostId, MdnsError> {
        Err(MdnsError::Full)
    }

    pub(super) fn delegated_name(&self, _id: HostId) -> Option<Label> {
        None
    }

    pub(super) fn withdraw_host(&mut self, _cx: &mut Context<'_>, _id: HostId) -> Result<(), MdnsError> {
        Err(MdnsError::Unknown)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Another number whenever what [`visit`](Self::visit) shows has changed.
    pub(super) fn generation(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Shows own records that are established.
    pub(super) fn visit(
        &self,
        _network: &Network,
        _name: &NameRef<'_>,
        _rtype: Rtype,
        _visitor: &mut dyn FnMut(&Data<'_>),
    ) {
    }
}
