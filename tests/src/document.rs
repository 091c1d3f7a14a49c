//! The API document that users read, and the examples in it, taken from its text.
//!
//! The text as it came to us has lost the marks around its code. What is an example is told by its first line and by
//! the line after its last, within the section that it stands in.

use std::env;
use std::fs;
use std::ops::Range;
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
        self.lines[self.range(example)].join("\n") + "\n"
    }

    /// What stands between the word "Example" and the end of the last example of each section, and is part of none
    /// of these examples.
    pub fn besides(&self, examples: &[Example]) -> Vec<&str> {
        let mut rest = Vec::new();
        // The line that what we have not looked at yet begins with.
        let mut from = 0;
        for range in examples.iter().map(|example| self.range(example)) {
            // The first example of a section stands under the word, a further one under its predecessor.
            let start = self.find(from..range.start, "Example").map_or(from, |line| line + 1);
            rest.extend(self.lines[start..range.start].iter().map(String::as_str));
            from = range.end;
        }
        rest
    }

    fn range(&self, example: &Example) -> Range<usize> {
        let end = self.lines.len();
        let find = |from: usize, line: &str| {
            self.find(from..end, line).unwrap_or_else(|| panic!("{}: no line {line:?}", example.section))
        };
        let first = find(find(find(0, example.section), "Example"), example.first);
        first..find(first, example.until)
    }

    fn find(&self, range: Range<usize>, line: &str) -> Option<usize> {
        range.clone().find(|number| self.lines[*number] == line)
    }
}
