//! Browsing: which instances of a service there are, which types, and what becomes of them.

use core::fmt::Write as _;
use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::rdata::RecordData as _;
use heapless::{Vec, VecView};
use net_core::dns::Addresses;
use net_core::time::Instant;

use super::data::Data;
use super::digest::digest;
use super::engine::Engine;
use super::name::{self, LABEL_MAX, NameBuf, NameRef};
use super::{Label, Mdns, MdnsError, QuestionId, Txt};

/// An instance of a service, with all that is needed to use it. The texts are in the buffer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance<'b> {
    /// Its name, as people see it.
    pub name: &'b str,
    /// The host that it runs on, with its domain: `printer.local`. Dots within a label, and bytes that are not UTF-8, are
    /// escaped as in zone files.
    pub host: &'b str,
    /// The port.
    pub port: u16,
    /// SRV priority: the lowest is to be tried first.
    pub priority: u16,
    /// SRV weight among those of one priority.
    pub weight: u16,
    /// The host's addresses, IPv4 first; at most [`limits::DNS_ADDRESSES`](net_core::limits::DNS_ADDRESSES). None when the
    /// host has not told them.
    pub addresses: Addresses,
    /// Its attributes. What did not fit into the buffer is missing at their end.
    pub txt: Txt<'b>,
}

/// What has become of the instances of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'b> {
    /// There is one that was not there before.
    Added(Instance<'b>),
    /// Its host, port, addresses or attributes have changed.
    Changed(Instance<'b>),
    /// It has said goodbye, or has not been heard of for as long as its records live. Its name.
    Removed(&'b str),
}

/// What has become of the service types on a network. The type is as in `_http._tcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundType {
    /// Somebody publishes services of this type.
    Added(Label),
    /// Nobody does any more.
    Removed(Label),
}

/// The difference between what was told and what is.
enum Change {
    Added(Label),
    Changed(Label),
    Removed(Label),
}

/// One that was told: its name, and a hash of what was told of it.
#[derive(Debug)]
struct Told {
    label: Label,
    content: u32,
}

/// A question that is being asked, and what of its answers was told.
struct Watch<'m, 'd, const N: usize> {
    mdns: &'m Mdns<'d>,
    question: QuestionId,
    told: Vec<Told, N>,
    /// The state that was compared last.
    generation: Option<u32>,
}

impl<'m, 'd, const N: usize> Watch<'m, 'd, N> {
    fn new(mdns: &'m Mdns<'d>, name: &NameRef<'_>, follow: bool) -> Result<Self, MdnsError> {
        let question = mdns.change(|engine, now| engine.ask(now, name, Rtype::PTR, follow))?;
        Ok(Self { mdns, question, told: Vec::new(), generation: None })
    }

    /// Waits for a difference. `label` names an answer, `content` hashes all that is known of it, or gives `None` while
    /// that is not enough.
    async fn change(
        &mut self,
        label: fn(&NameRef<'_>) -> Option<Label>,
        content: fn(&Engine<'d>, Instant, &NameRef<'_>) -> Option<u32>,
    ) -> Change {
        let Self { mdns, question, told, generation } = self;
        mdns.when(|engine| {
            let now = Instant::now();
            if *generation == Some(engine.generation()) {
                return None;
            }
            let change = difference(engine, now, *question, told, label, content);
            if change.is_none() {
                *generation = Some(engine.generation());
            }
            change
        })
        .await
    }
}

impl<const N: usize> Drop for Watch<'_, '_, N> {
    fn drop(&mut self) {
        self.mdns.change(|engine, _| engine.forget(self.question));
    }
}

/// Whether two names are the same but for case.
fn is_same(a: &Label, b: &Label) -> bool {
    name::eq(a.as_bytes(), b.as_bytes())
}

fn difference<'d>(
    engine: &Engine<'d>,
    now: Instant,
    question: QuestionId,
    told: &mut VecView<Told>,
    label: fn(&NameRef<'_>) -> Option<Label>,
    content: fn(&Engine<'d>, Instant, &NameRef<'_>) -> Option<u32>,
) -> Option<Change> {
    let (name, rtype) = engine.question(question)?;
    for (i, known) in told.iter().enumerate() {
        let mut is_there = false;
        engine.visit(now, &name, rtype, &mut |data| {
            is_there |= matches!(data, Data::Ptr(target) if label(target).is_some_and(|l| is_same(&l, &known.label)));
        });
        if !is_there {
            return Some(Change::Removed(told.remove(i).label));
        }
    }
    let mut change = None;
    engine.visit(now, &name, rtype, &mut |data| {
        let Data::Ptr(target) = data else { return };
        let Some(label) = label(target).filter(|_| change.is_none()) else { return };
        let Some(content) = content(engine, now, target) else { return };
        if let Some(known) = told.iter_mut().find(|known| is_same(&known.label, &label)) {
            if known.content != content {
                known.content = content;
                change = Some(Change::Changed(label));
            }
        } else if told.push(Told { label: label.clone(), content }).is_ok() {
            change = Some(Change::Added(label));
        } // else the table is full, and this one is not told
    });
    change
}

/// Browsing for instances of a service; ends when dropped. Made by [`Mdns::browse`].
///
/// It tells of up to `N` instances at once, each taking about 90 bytes; further ones are told when others have gone.
pub struct Browse<'m, 'd, const N: usize>(Watch<'m, 'd, N>);

impl<const N: usize> Browse<'_, '_, N> {
    /// Waits for the next change. What changed more than once since the last call is told once, as it is now.
    ///
    /// The texts are written into `buffer`; 512 bytes hold names, and attributes of usual length.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`MdnsError::BufferTooSmall`] when not even the names fit, 63 and 255 bytes at most; that change is lost.
    pub async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Found<'b>, MdnsError> {
        loop {
            let change = self.0.change(instance_label, instance_content).await;
            let (label, is_new) = match &change {
                Change::Added(label) => (label, true),
                Change::Changed(label) => (label, false),
                Change::Removed(label) => {
                    let name = buffer.get_mut(..label.len()).ok_or(MdnsError::BufferTooSmall)?;
                    name.copy_from_slice(label.as_bytes());
                    return Ok(Found::Removed(core::str::from_utf8(name).unwrap_or_default()));
                }
            };
            let found = self.0.mdns.look(|engine, now| {
                let (name, _) = engine.question(self.0.question)?;
                let mut written = None;
                engine.visit(now, &name, Rtype::PTR, &mut |data| {
                    if let Data::Ptr(target) = data
                        && written.is_none()
                        && instance_label(target).is_some_and(|l| is_same(&l, label))
                    {
                        written = Some(Parts::write(engine, now, target, buffer));
                    }
                });
                written
            });
            // It was there a moment ago; if it has gone since, that is the next change.
            if let Some(parts) = found {
                let instance = parts?.read(buffer);
                return Ok(if is_new { Found::Added(instance) } else { Found::Changed(instance) });
            }
        }
    }
}

/// Browsing for service types; ends when dropped. Made by [`Mdns::browse_types`].
pub struct BrowseTypes<'m, 'd, const N: usize>(Watch<'m, 'd, N>);

impl<const N: usize> BrowseTypes<'_, '_, N> {
    /// Waits for the next change. Dropping the future loses nothing.
    pub async fn next(&mut self) -> FoundType {
        loop {
            match self.0.change(type_label, |_, _, _| Some(0)).await {
                Change::Added(label) => return FoundType::Added(label),
                Change::Removed(label) => return FoundType::Removed(label),
                Change::Changed(_) => {}
            }
        }
    }
}

impl<'d> Mdns<'d> {
    /// Browses for instances of a service type: `_http._tcp`, or with a subtype `_printer._sub._http._tcp`. Each is told
    /// when all that is needed to use it is known; its host's addresses may come later, as a change.
    ///
    /// `N` is how many instances it can tell of at once.
    ///
    /// ```
    /// # use net_services::mdns::{Found, Mdns, MdnsError};
    /// # async fn example(mdns: &Mdns<'_>) -> Result<(), MdnsError> {
    /// let mut browse = mdns.browse::<8>("_http._tcp")?;
    /// let mut buffer = [0; 512];
    /// while let Found::Added(instance) = browse.next(&mut buffer).await? {
    ///     let path = instance.txt.get_str("path").unwrap_or("/");
    ///     for address in &instance.addresses {
    ///         // http://address:instance.port/path
    ///     }
    /// #   let _ = path;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`MdnsError::InvalidType`], [`MdnsError::InvalidName`], [`MdnsError::Full`].
    pub fn browse<const N: usize>(&self, kind: &str) -> Result<Browse<'_, 'd, N>, MdnsError> {
        let name = name::service_type(kind)?;
        Watch::new(self, &name::by_ref(&name), true).map(Browse)
    }

    /// Browses for service types (RFC 6763 section 9).
    ///
    /// `N` is how many types it can tell of at once.
    ///
    /// # Errors
    /// [`MdnsError::Full`].
    pub fn browse_types<const N: usize>(&self) -> Result<BrowseTypes<'_, 'd, N>, MdnsError> {
        Watch::new(self, &name::from_wire(name::TYPES), false).map(BrowseTypes)
    }
}

/// The name of an instance, if it is text.
fn instance_label(target: &NameRef<'_>) -> Option<Label> {
    name::first_label(target).and_then(|text| Label::try_from(text).ok())
}

/// A type as text, without its domain.
fn type_label(target: &NameRef<'_>) -> Option<Label> {
    let mut text = heapless::String::<{ LABEL_MAX + 6 }>::new();
    name::write_text(target, &mut text).ok()?;
    Label::try_from(name::without_local(&text)).ok()
}

/// A hash of all that can be told of an instance; `None` while its SRV record is not known.
fn instance_content(engine: &Engine<'_>, now: Instant, target: &NameRef<'_>) -> Option<u32> {
    let mut content = 0u32;
    let mut is_known = false;
    let mut add = |data: &Data<'_>| content ^= hash(data);
    engine.visit(now, target, Rtype::SRV, &mut |data| {
        let Data::Srv { target: host, .. } = data else { return };
        is_known = true;
        add(data);
        for rtype in [Rtype::A, Rtype::AAAA] {
            engine.visit(now, host, rtype, &mut |data| {
                if data.rtype() == rtype {
                    add(data);
                }
            });
        }
    });
    engine.visit(now, target, Rtype::TXT, &mut |data| {
        if matches!(data, Data::Txt(_)) {
            content ^= hash(data);
        }
    });
    is_known.then_some(content)
}

/// The same whatever the order of records is, and the case of names.
#[inline(never)]
fn hash(data: &Data<'_>) -> u32 {
    digest(&data.flat(&mut NameBuf::new()).parts())
}

/// An instance whose texts have been written into a buffer, by their ends.
pub(super) struct Parts {
    name: usize,
    host: usize,
    txt: usize,
    port: u16,
    priority: u16,
    weight: u16,
    addresses: Addresses,
}

impl Parts {
    /// Writes what is known of the instance `target` into `buffer`.
    ///
    /// # Errors
    /// [`MdnsError::BufferTooSmall`].
    pub(super) fn write(
        engine: &Engine<'_>,
        now: Instant,
        target: &NameRef<'_>,
        buffer: &mut [u8],
    ) -> Result<Self, MdnsError> {
        let mut parts = Self { name: 0, host: 0, txt: 0, port: 0, priority: 0, weight: 0, addresses: Addresses::new() };
        let mut text = Cursor::new(buffer);
        let label = name::first_label(target).unwrap_or_default();
        text.write_str(label).map_err(|_| MdnsError::BufferTooSmall)?;
        parts.name = text.at;
        let mut result = Ok(());
        let mut has_srv = false;
        engine.visit(now, target, Rtype::SRV, &mut |data| {
            // Of several the first counts.
            if let (Data::Srv { priority, weight, port, target: host }, false) = (data, has_srv) {
                has_srv = true;
                (parts.priority, parts.weight, parts.port) = (*priority, *weight, *port);
                result = name::write_text(host, &mut text).map_err(|_| MdnsError::BufferTooSmall);
                collect_addresses(engine, now, host, &mut parts.addresses);
            }
        });
        result?;
        parts.host = text.at;
        let mut has_txt = false;
        engine.visit(now, target, Rtype::TXT, &mut |data| {
            if let (Data::Txt(bytes), false) = (data, has_txt) {
                has_txt = true;
                text.strings(bytes);
            }
        });
        parts.txt = text.at;
        Ok(parts)
    }

    /// The instance, with its texts in the buffer that was written.
    pub(super) fn read(self, buffer: &[u8]) -> Instance<'_> {
        let text =
            |from, to| buffer.get(from..to).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default();
        Instance {
            name: text(0, self.name),
            host: text(self.name, self.host),
            port: self.port,
            priority: self.priority,
            weight: self.weight,
            addresses: self.addresses,
            txt: Txt(buffer.get(self.host..self.txt).unwrap_or_default()),
        }
    }
}

/// Adds the addresses of a host, IPv4 first.
pub(super) fn collect_addresses(engine: &Engine<'_>, now: Instant, host: &NameRef<'_>, addresses: &mut Addresses) {
    for rtype in [Rtype::A, Rtype::AAAA] {
        engine.visit(now, host, rtype, &mut |data| {
            let address = match data {
                Data::A(v4) => IpAddr::V4(*v4),
                Data::Aaaa(v6) => IpAddr::V6(*v6),
                _ => return,
            };
            if !addresses.contains(&address) {
                let _ = addresses.push(address); // more than fit are left out
            }
        });
    }
}

/// Writes into a buffer what fits.
pub(super) struct Cursor<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub(super) fn length(&self) -> usize {
        self.at
    }

    fn bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.buffer.get_mut(self.at..self.at + bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.at += bytes.len();
        true
    }

    /// TXT data, up to the first string that does not fit.
    fn strings(&mut self, mut data: &[u8]) {
        while let Some(length) = data.first().map(|length| usize::from(*length) + 1)
            && let Some((string, rest)) = data.split_at_checked(length)
            && self.bytes(string)
        {
            data = rest;
        }
    }
}

impl core::fmt::Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        if self.bytes(text.as_bytes()) { Ok(()) } else { Err(core::fmt::Error) }
    }
}
