//! Looking up one thing: a host's addresses, an address's host, an instance of a service.

use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::rdata::RecordData as _;
use net_core::dns::{Addresses, Family};
use net_core::time::{Duration, Instant, bounded, with_timeout};

use super::browse::{Instance, Parts, collect_addresses};
use super::data::Data;
use super::engine::Engine;
use super::name::{self, NameBuf, NameRef};
use super::{Mdns, MdnsError, QuestionId};

/// What a lookup waits for further when it has an address and another of the other IP version may be on the way.
const MORE: Duration = Duration::from_millis(250);

/// Questions that are asked until this is dropped.
struct Asking<'m, 'd> {
    mdns: &'m Mdns<'d>,
    questions: [Option<QuestionId>; 2],
}

impl<'m, 'd> Asking<'m, 'd> {
    fn new(
        mdns: &'m Mdns<'d>,
        name: &NameRef<'_>,
        rtypes: [Option<Rtype>; 2],
        follow: bool,
    ) -> Result<Self, MdnsError> {
        let mut asking = Self { mdns, questions: [None; 2] };
        for (question, rtype) in asking.questions.iter_mut().zip(rtypes) {
            if let Some(rtype) = rtype {
                *question = Some(mdns.change(|engine, now| engine.ask(now, name, rtype, follow))?);
            }
        }
        Ok(asking)
    }
}

impl Drop for Asking<'_, '_> {
    fn drop(&mut self) {
        for question in self.questions.into_iter().flatten() {
            self.mdns.change(|engine, _| engine.forget(question));
        }
    }
}

/// What is known of one type of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    /// There are records.
    There,
    /// The owner says that there are none.
    NotThere,
}

fn known(engine: &Engine<'_>, now: Instant, name: &NameRef<'_>, rtype: Rtype) -> Known {
    let mut known = Known::Nothing;
    engine.visit(now, name, rtype, &mut |data| {
        if data.rtype() == rtype {
            known = Known::There;
        } else if known == Known::Nothing {
            known = Known::NotThere;
        }
    });
    known
}

impl Mdns<'_> {
    /// The addresses of a host: `printer` or `printer.local`; this device's own name too. Waits for an answer for up to
    /// `timeout`; 3 seconds are enough for hosts that are awake.
    ///
    /// At most [`limits::DNS_ADDRESSES`](net_core::limits::DNS_ADDRESSES). Link-local IPv6 addresses are of the
    /// interface that this service runs on.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`], [`MdnsError::Full`], [`MdnsError::TimedOut`], and [`MdnsError::NoData`] when the host
    /// says that it has no address of that IP version.
    pub async fn lookup(&self, host: &str, family: Family, timeout: Duration) -> Result<Addresses, MdnsError> {
        let name = name::host(host)?;
        let name = name::by_ref(&name);
        let rtypes = match family {
            Family::V4 => [Some(Rtype::A), None],
            Family::V6 => [Some(Rtype::AAAA), None],
            Family::Both | Family::Either => [Some(Rtype::A), Some(Rtype::AAAA)],
        };
        let _asking = Asking::new(self, &name, rtypes, false)?;
        let state = |engine: &Engine<'_>| {
            let now = Instant::now();
            let of = |rtype: Option<Rtype>| rtype.map_or(Known::NotThere, |rtype| known(engine, now, &name, rtype));
            rtypes.map(of)
        };
        let first = self.when(|engine| match state(engine) {
            [Known::NotThere, Known::NotThere] => Some(false),
            [Known::There, _] | [_, Known::There] => Some(true),
            _ => None,
        });
        if !with_timeout(bounded(timeout), first).await.map_err(|_| MdnsError::TimedOut)? {
            return Err(MdnsError::NoData);
        }
        if family == Family::Both {
            let both = self.when(|engine| (!state(engine).contains(&Known::Nothing)).then_some(()));
            let _ = with_timeout(MORE, both).await; // one version is an answer too
        }
        let mut addresses = Addresses::new();
        self.look(|engine, now| collect_addresses(engine, now, &name, &mut addresses));
        addresses.retain(|address| match family {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Both | Family::Either => true,
        });
        if addresses.is_empty() { Err(MdnsError::TimedOut) } else { Ok(addresses) }
    }

    /// The host that has an address, such as `printer.local`, written into `buffer`; 255 bytes hold any.
    ///
    /// # Errors
    /// [`MdnsError::Full`], [`MdnsError::TimedOut`], [`MdnsError::NoData`], [`MdnsError::BufferTooSmall`].
    pub async fn reverse<'b>(
        &self,
        address: IpAddr,
        timeout: Duration,
        buffer: &'b mut [u8],
    ) -> Result<&'b str, MdnsError> {
        let mut name = NameBuf::new();
        name.reverse(address)?;
        let name = name::by_ref(&name);
        let _asking = Asking::new(self, &name, [Some(Rtype::PTR), None], false)?;
        let answer = self.when(|engine| {
            let mut answer = None;
            engine.visit(Instant::now(), &name, Rtype::PTR, &mut |data| match data {
                Data::Ptr(host) if !matches!(answer, Some(Ok(_))) => {
                    let mut text = super::browse::Cursor::new(buffer);
                    let written = name::write_text(host, &mut text).map_err(|_| MdnsError::BufferTooSmall);
                    answer = Some(written.map(|()| text.length()));
                }
                Data::Nsec { .. } if answer.is_none() => answer = Some(Err(MdnsError::NoData)),
                _ => {}
            });
            answer
        });
        let length = with_timeout(bounded(timeout), answer).await.map_err(|_| MdnsError::TimedOut)??;
        let text = buffer.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.ok_or(MdnsError::BufferTooSmall)
    }

    /// All that is needed to use an instance of a service: `resolve("Printer", "_ipp._tcp", ...)`. Waits for up to `timeout`
    /// until its host, attributes and at least one address are known; without the latter two, what is known is given then.
    ///
    /// The texts are written into `buffer`, see [`Browse::next`](super::Browse::next).
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`], [`MdnsError::InvalidType`], [`MdnsError::Full`], [`MdnsError::TimedOut`],
    /// [`MdnsError::NoData`], [`MdnsError::BufferTooSmall`].
    pub async fn resolve<'b>(
        &self,
        instance: &str,
        kind: &str,
        timeout: Duration,
        buffer: &'b mut [u8],
    ) -> Result<Instance<'b>, MdnsError> {
        let kind = name::service_type(kind)?;
        let mut name = NameBuf::new();
        name.instance(instance.as_bytes(), kind.as_slice())?;
        let name = name::by_ref(&name);
        let _asking = Asking::new(self, &name, [Some(Rtype::SRV), Some(Rtype::TXT)], true)?;
        let complete = self.when(|engine| {
            let now = Instant::now();
            match (known(engine, now, &name, Rtype::SRV), known(engine, now, &name, Rtype::TXT)) {
                (Known::NotThere, _) => Some(Err(MdnsError::NoData)),
                (Known::There, Known::There | Known::NotThere) => {
                    let mut addresses = Addresses::new();
                    engine.visit(now, &name, Rtype::SRV, &mut |data| {
                        if let Data::Srv { target, .. } = data {
                            collect_addresses(engine, now, target, &mut addresses);
                        }
                    });
                    (!addresses.is_empty()).then_some(Ok(()))
                }
                _ => None,
            }
        });
        match with_timeout(bounded(timeout), complete).await {
            Ok(complete) => complete?,
            Err(_) if self.look(|engine, now| known(engine, now, &name, Rtype::SRV)) == Known::There => {}
            Err(_) => return Err(MdnsError::TimedOut),
        }
        let parts = self.look(|engine, now| Parts::write(engine, now, &name, buffer))?;
        Ok(parts.read(buffer))
    }
}
