//! Captures frames into a file that Wireshark and tcpdump read (classic pcap, draft-ietf-opsawg-pcap).

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::task::Context;
use std::time::SystemTime;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const LONGEST: u32 = 262_144;
const LINK_ETHERNET: u32 = 1;

/// A capture file, for any number of drivers. Each frame is in the file as soon as it has been sent or received.
#[derive(Debug, Clone)]
pub struct PcapFile(Rc<RefCell<Writer>>);

#[derive(Debug)]
struct Writer {
    /// `None` after it could not be written.
    file: Option<File>,
    record: Vec<u8>,
}

impl PcapFile {
    /// Makes or empties the file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let mut header = MAGIC_MICROSECONDS.to_ne_bytes().to_vec();
        header.extend(VERSION.iter().flat_map(|part| part.to_ne_bytes()));
        header.extend([0; 8]); // time zone and accuracy, which nobody fills in
        header.extend(LONGEST.to_ne_bytes());
        header.extend(LINK_ETHERNET.to_ne_bytes());
        file.write_all(&header)?;
        Ok(Self(Rc::new(RefCell::new(Writer { file: Some(file), record: Vec::new() }))))
    }

    fn write(&self, frame: &[u8]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let Writer { file, record } = &mut *self.0.borrow_mut();
        let Some(open) = file else { return };
        record.clear();
        // The format's seconds have 32 bits; they last until 2106.
        for field in [now.as_secs() as u32, now.subsec_micros(), frame.len() as u32, frame.len() as u32] {
            record.extend(field.to_ne_bytes());
        }
        record.extend(frame);
        if let Err(e) = open.write_all(record) {
            log::error!("the capture ends here: {e}");
            *file = None;
        }
    }
}

/// A driver whose frames are captured.
#[derive(Debug)]
pub struct Pcap<D> {
    driver: D,
    file: Option<PcapFile>,
}

impl<D> Pcap<D> {
    /// Captures into `file`, or nothing with `None`.
    pub fn new(driver: D, file: Option<PcapFile>) -> Self {
        Self { driver, file }
    }
}

impl<D: Driver> Driver for Pcap<D> {
    type RxToken<'a>
        = PcapToken<'a, D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = PcapToken<'a, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let file = self.file.as_ref();
        let (rx, tx) = self.driver.receive(cx)?;
        Some((PcapToken { token: rx, file }, PcapToken { token: tx, file }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        Some(PcapToken { token: self.driver.transmit(cx)?, file: self.file.as_ref() })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.driver.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}

/// A token whose frame is captured.
#[derive(Debug)]
pub struct PcapToken<'a, T> {
    token: T,
    file: Option<&'a PcapFile>,
}

impl<T: RxToken> RxToken for PcapToken<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.token.consume(|frame| {
            if let Some(file) = self.file {
                file.write(frame);
            }
            f(frame)
        })
    }
}

impl<T: TxToken> TxToken for PcapToken<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.token.consume(len, |frame| {
            let result = f(frame);
            if let Some(file) = self.file {
                file.write(frame);
            }
            result
        })
    }
}
