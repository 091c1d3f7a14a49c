//! The API document that users read, and the examples in it, taken from its text.
//!
//! The text as it came to us has lost the marks around its code. What is an example is told by its first line and by
//! the line after its last, within the section that it stands in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::skip;

/// Where an example stands.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The heading of its section.
    pub section: &'static str,
    /// Its first line.
    pub first: &'static str,
    /// The first line after it.
    pub until: &'static str,
}

/// A document of the API folder.
#[derive(Debug)]
pub struct Document {
    lines: Vec<String>,
}

impl Document {
    /// Reads a document from the folder `LUNET_API_DIR`, or from `../shared/api` beside the workspace. `None`, after saying so, when the
    /// test must be skipped because it is not there.
    ///
    /// # Panics
    /// When it is not there and nothing may be skipped.
    pub fn open(name: &str) -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let folder = env::var_os("LUNET_API_DIR").map_or_else(|| workspace.join("../shared/api"), PathBuf::from);
        let file = folder.join(name);
        match fs::read_to_string(&file) {
            Ok(text) => Some(Self { lines: text.lines().map(str::to_owned).collect() }),
            Err(error) => {
                skip(&format!("{}: {error}; LUNET_API_DIR names the folder of the API documents", file.display()));
                None
            }
        }
    }

    /// How many lines are exactly this one.
    pub fn count(&self, line: &str) -> usize {
        self.lines.iter().filter(|l| *l == line).count()
    }

    /// The text of an example, as printed.
    ///
    /// # Panics
    /// When the document does not hold it.
    #[track_caller]
    pub fn example(&self, example: &Example) -> String {
        let after = |lines: &'_ [String], line: &str| -> usize {
            lines.iter().position(|l| l == line).unwrap_or_else(|| panic!("{}: no line {line:?}", example.section))
        };
        let section = &self.lines[after(&self.lines, example.section)..];
        let from = &section[after(section, example.first)..];
        from[..after(from, example.until)].join("\n") + "\n"
    }
}
