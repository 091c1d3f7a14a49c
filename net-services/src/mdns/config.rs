//! What an engine is held to, and the memory it gets.

use heapless::Vec;

use super::cache::Entry;
use super::own::Entry as OwnEntry;
use super::pool::{Pool, Slot};
use super::questions::Entry as QuestionEntry;

/// How an engine behaves. Const-constructible: start from [`Config::new`] and change fields.
///
/// ```
/// use net_services::mdns::Config;
///
/// const CONFIG: Config = {
///     let mut config = Config::new();
///     config.unicast = false;
///     config
/// };
/// # let _ = CONFIG;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Whether probes and first questions ask for unicast replies (RFC 6762 section 5.4, the QU bit). Default true. It is to
    /// be false where another program on the same computer has port 5353 too, which may get them instead (section 15.1).
    pub unicast: bool,
    /// Whether the device tells which name its addresses have (the PTR records of `1.0.0.10.in-addr.arpa` and the like).
    /// Default true. It is to be false where another program on the same computer tells that: a computer's addresses have one
    /// name, and Avahi for one takes another as a conflict.
    pub reverse: bool,
}

impl Config {
    /// The defaults.
    pub const fn new() -> Self {
        Self { unicast: true, reverse: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of text that a service or a delegated host has on average: instance name, type, subtypes and TXT data, or the
/// host's name and addresses.
pub const SERVICE_BYTES: usize = 112;
/// Bytes that the name of a question has on average.
pub const QUESTION_BYTES: usize = 40;
/// Bytes that a record of the cache has on average: its name and its data.
pub const RECORD_BYTES: usize = 56;

/// The memory of an engine: for `SERVICES` services and delegated hosts, `QUESTIONS` questions asked at once, and a
/// cache of `RECORDS` records.
///
/// Their bytes are shared: each service has [`SERVICE_BYTES`] on average, each question [`QUESTION_BYTES`], each record
/// [`RECORD_BYTES`]; one may have more where others have less. What does not fit: a service or question is
/// [`MdnsError::Full`](super::MdnsError::Full); a record takes the place of one that nobody asks for, or else of the one
/// unused for longest.
///
/// A browse takes one question, whatever it finds; those who ask the same share one.
///
/// On a device it is a `static` (in a `static_cell::ConstStaticCell`, for one), so that its size is known when linking.
pub struct Resources<const SERVICES: usize, const QUESTIONS: usize, const RECORDS: usize> {
    pub(super) services: Vec<Slot<OwnEntry>, SERVICES>,
    pub(super) service_bytes: [[u8; SERVICE_BYTES]; SERVICES],
    pub(super) questions: Vec<Slot<QuestionEntry>, QUESTIONS>,
    pub(super) question_bytes: [[u8; QUESTION_BYTES]; QUESTIONS],
    pub(super) records: Vec<Slot<Entry>, RECORDS>,
    pub(super) record_bytes: [[u8; RECORD_BYTES]; RECORDS],
}

impl<const SERVICES: usize, const QUESTIONS: usize, const RECORDS: usize> Resources<SERVICES, QUESTIONS, RECORDS> {
    /// The three pools: services, questions, records.
    #[allow(clippy::type_complexity)] // named once, here
    pub(super) fn pools(&mut self) -> (Pool<'_, OwnEntry>, Pool<'_, QuestionEntry>, Pool<'_, Entry>) {
        (
            Pool::new(&mut self.services, self.service_bytes.as_flattened_mut()),
            Pool::new(&mut self.questions, self.question_bytes.as_flattened_mut()),
            Pool::new(&mut self.records, self.record_bytes.as_flattened_mut()),
        )
    }

    /// Memory that is not used yet.
    pub const fn new() -> Self {
        Self {
            services: Vec::new(),
            service_bytes: [[0; SERVICE_BYTES]; SERVICES],
            questions: Vec::new(),
            question_bytes: [[0; QUESTION_BYTES]; QUESTIONS],
            records: Vec::new(),
            record_bytes: [[0; RECORD_BYTES]; RECORDS],
        }
    }
}

impl<const SERVICES: usize, const QUESTIONS: usize, const RECORDS: usize> Default
    for Resources<SERVICES, QUESTIONS, RECORDS>
{
    fn default() -> Self {
        Self::new()
    }
}
