//! An in-memory network cable, for tests and benchmarks.
//!
//! A [`Cable`] has two or more ends; each is a driver that a stack can be put on. What is sent at one end arrives at all
//! the others, after a delay, in order or not, once, twice or never, as [`Quality`] says: all of it drawn from a seed,
//! and timed by `embassy-time`, so that with a virtual clock every run is the same.
//!
//! ```
//! use net_core::cable::{Cable, Quality};
//!
//! let mut bad = Quality::PERFECT;
//! bad.loss_per_mille = 50;
//! let cable = Cable::new(bad, 1);
//! let (device, peer) = (cable.end(), cable.end());
//! # let _ = (device, peer);
//! ```

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::{Context, Waker};

use crate::random::Random;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time::{Duration, Instant};

/// Largest frame, Ethernet header included.
const MTU: usize = 1514;

/// What a cable does to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Frames lost, in a thousand.
    pub loss_per_mille: u32,
    /// Frames delivered twice, in a thousand.
    pub duplicate_per_mille: u32,
    /// Frames that are held back and so overtaken by later ones, in a thousand.
    pub reorder_per_mille: u32,
    /// How long a frame travels.
    pub delay: Duration,
    /// Bits per second in each direction; 0 for no limit.
    pub bandwidth: u64,
    /// Frames that may wait at one end when they come faster than `bandwidth`; more are lost.
    pub queue: usize,
}

impl Quality {
    /// Delivers every frame at once.
    pub const PERFECT: Self = Self {
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        reorder_per_mille: 0,
        delay: Duration::from_ticks(0),
        bandwidth: 0,
        queue: 256,
    };
}

/// Looks at a frame that was sent at the end of this number (0 for the first), and says whether it may pass.
pub type Filter = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// A network cable.
#[derive(Clone)]
pub struct Cable(Rc<RefCell<State>>);

struct State {
    quality: Quality,
    random: Random,
    link_up: bool,
    filter: Option<Filter>,
    ends: Vec<EndState>,
    frames: u64,
}

#[derive(Default)]
struct EndState {
    /// Frames on their way to this end.
    arriving: Vec<(Instant, Vec<u8>)>,
    /// When the frame that is being sent at this end will have left it.
    busy_until: Option<Instant>,
    waker: Option<Waker>,
}

impl State {
    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.next_u64() % 1000 < u64::from(per_mille)
    }

    fn send(&mut self, from: usize, frame: &[u8]) {
        if !self.link_up {
            return;
        }
        self.frames += 1;
        if let Some(filter) = &mut self.filter
            && !filter(from, frame)
        {
            return;
        }
        let now = Instant::now();
        let mut leaves = now;
        if self.quality.bandwidth > 0 {
            let takes = Duration::from_micros((frame.len() as u64 * 8_000_000).div_ceil(self.quality.bandwidth));
            let busy = self.ends[from].busy_until.map_or(now, |at| at.max(now));
            let waiting = (busy - now).as_micros() / takes.as_micros().max(1);
            if waiting as usize >= self.quality.queue {
                return;
            }
            leaves = busy + takes;
            self.ends[from].busy_until = Some(leaves);
        }
        for to in (0..self.ends.len()).filter(|&to| to != from) {
            let copies = match () {
                () if self.chance(self.quality.loss_per_mille) => 0,
                () if self.chance(self.quality.duplicate_per_mille) => 2,
                () => 1,
            };
            for _ in 0..copies {
                let mut arrives = leaves + self.quality.delay;
                if self.chance(self.quality.reorder_per_mille) {
                    arrives += Duration::from_micros(self.random.next_u64() % 5000);
                }
                // Equal times keep the order of sending.
                let at = self.ends[to].arriving.partition_point(|(other, _)| *other <= arrives);
                self.ends[to].arriving.insert(at, (arrives, frame.to_vec()));
            }
            if copies > 0
                && let Some(waker) = self.ends[to].waker.take()
            {
                waker.wake();
            }
        }
    }
}

impl Cable {
    /// A cable without ends.
    pub fn new(quality: Quality, seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            quality,
            random: Random::new(seed),
            link_up: true,
            filter: None,
            ends: Vec::new(),
            frames: 0,
        })))
    }

    /// Adds an end, a driver with the hardware address 02:00:00:00:00:*n*.
    pub fn end(&self) -> End {
        let mut state = self.0.borrow_mut();
        state.ends.push(EndState::default());
        End { cable: self.clone(), number: state.ends.len() - 1 }
    }

    /// Changes what the cable does to frames from now on.
    pub fn set_quality(&self, quality: Quality) {
        self.0.borrow_mut().quality = quality;
    }

    /// Pulls the plug or puts it back: every end sees its link go down or up.
    pub fn set_link(&self, up: bool) {
        let mut state = self.0.borrow_mut();
        state.link_up = up;
        for end in &mut state.ends {
            if let Some(waker) = end.waker.take() {
                waker.wake();
            }
        }
    }

    /// Has every sent frame looked at.
    pub fn set_filter(&self, filter: Filter) {
        self.0.borrow_mut().filter = Some(filter);
    }

    /// Sends a frame as if the end of this number had.
    pub fn inject(&self, from: usize, frame: &[u8]) {
        self.0.borrow_mut().send(from, frame);
    }

    /// How many frames have been sent.
    pub fn frames(&self) -> u64 {
        self.0.borrow().frames
    }
}

/// An end of a [`Cable`]: a driver.
pub struct End {
    cable: Cable,
    number: usize,
}

impl Driver for End {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Room<'_>)> {
        let mut state = self.cable.0.borrow_mut();
        let end = &mut state.ends[self.number];
        match end.arriving.first() {
            Some((at, _)) if *at <= Instant::now() => {
                let (_, frame) = end.arriving.remove(0);
                drop(state);
                Some((Received(frame), Room(self)))
            }
            first => {
                if let Some((at, _)) = first {
                    embassy_time_driver::schedule_wake(at.as_ticks(), cx.waker());
                }
                end.waker = Some(cx.waker().clone());
                None
            }
        }
    }

    fn transmit(&mut self, _cx: &mut Context<'_>) -> Option<Room<'_>> {
        Some(Room(self))
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        if self.cable.0.borrow().link_up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, self.number as u8])
    }
}

/// A frame that has arrived.
pub struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

/// Room for a frame to be sent.
pub struct Room<'a>(&'a End);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.cable.0.borrow_mut().send(self.0.number, &frame);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` numbered frames from one end and gives the numbers that the other end saw, in order.
    fn carry(quality: Quality, seed: u64, count: u8) -> Vec<u8> {
        let run = move || async move {
            let cable = Cable::new(quality, seed);
            let (_one, mut other) = (cable.end(), cable.end());
            for n in 0..count {
                cable.inject(0, &[n; 60]);
            }
            let mut seen = Vec::new();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline {
                embassy_time::Timer::after_millis(1).await;
                let mut cx = Context::from_waker(Waker::noop());
                while let Some((frame, _)) = other.receive(&mut cx) {
                    frame.consume(|frame| seen.push(frame[0]));
                }
            }
            seen
        };
        // A thread of its own: a clock that begins at zero.
        std::thread::spawn(move || virtual_time::block_on(run())).join().unwrap()
    }

    #[test]
    fn a_perfect_cable_delivers_all_in_order() {
        assert_eq!(carry(Quality::PERFECT, 1, 100), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_cable_loses_doubles_and_reorders_the_same_way_for_the_same_seed() {
        let bad = Quality { loss_per_mille: 200, duplicate_per_mille: 100, reorder_per_mille: 300, ..Quality::PERFECT };
        let seen = carry(bad, 7, 200);
        assert_eq!(seen, carry(bad, 7, 200));
        assert_ne!(seen, carry(bad, 8, 200));
        let missing = (0..200).filter(|n| !seen.contains(n)).count();
        assert!((20..60).contains(&missing), "{missing} of 200 lost at 20 %");
        assert!(!seen.is_sorted(), "nothing was reordered");
        assert!((0..200).any(|n| seen.iter().filter(|s| **s == n).count() == 2), "nothing was doubled");
    }

    #[test]
    fn bandwidth_spaces_frames_and_a_full_queue_loses_them() {
        let slow = Quality { bandwidth: 480_000, queue: 10, ..Quality::PERFECT };
        // 60 bytes at 480 kbit/s are a millisecond, and ten may wait.
        assert_eq!(carry(slow, 1, 50).len(), 10);
    }
}
