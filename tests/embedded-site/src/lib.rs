//! A few pages that are put into a program at build time: the directory `www`, by `build.rs`.
#![no_std]
#![forbid(unsafe_code)]

use net_services::http::files::{Embedded, Site};

/// The pages.
pub static PAGES: Embedded = include!(concat!(env!("OUT_DIR"), "/www.rs"));

/// The same as a handler.
pub static SITE: Site<'static, Embedded> = Site::new(&PAGES);
