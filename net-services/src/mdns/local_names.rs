//! The service as the one that net-core's resolver asks for names below `.local`.

use core::net::IpAddr;
use core::task::{Context, Poll};

use domain::base::Rtype;
use domain::base::rdata::RecordData as _;
use net_core::dns::{LocalAnswer, LocalNames, LocalQuestion};
use net_core::time::Instant;

use super::data::Data;
use super::name;
use super::{Mdns, QuestionId};

impl LocalNames for Mdns<'_> {
    fn is_running(&self) -> bool {
        self.is_running()
    }

    fn begin(&self, question: LocalQuestion<'_>) -> Option<u32> {
        let name = name::from_wire(question.name);
        let rtype = Rtype::from_int(question.rtype as u16);
        self.change(|engine, now| engine.ask(now, &name, rtype, false)).ok().map(|QuestionId(id)| id.into())
    }

    fn poll(&self, id: u32, cx: &mut Context<'_>, found: &mut dyn FnMut(LocalAnswer<'_>)) -> Poll<()> {
        let id = QuestionId(id as u16); // as `begin` has made it
        self.poll_when(cx, |engine| {
            let (name, rtype) = engine.question(id)?;
            let mut is_known = false;
            engine.visit(Instant::now(), &name, rtype, &mut |data| {
                is_known |= data.rtype() == rtype || matches!(data, Data::Nsec { .. });
                match data {
                    Data::A(v4) => found(LocalAnswer::Address(IpAddr::V4(*v4))),
                    Data::Aaaa(v6) => found(LocalAnswer::Address(IpAddr::V6(*v6))),
                    Data::Ptr(target) => found(LocalAnswer::Name(name::copy(target).as_slice())),
                    _ => {}
                }
            });
            is_known.then_some(())
        })
    }

    fn end(&self, id: u32) {
        self.change(|engine, _| engine.forget(QuestionId(id as u16)));
    }
}
