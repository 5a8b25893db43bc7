//! Reads the whole journal and checks every checksum, every number and the chain of segments.
//!
//! It changes nothing and needs no running log; beside one, the last commit may still be under way.

use std::path::Path;

use crate::LogError;
use crate::journal::merkle::Tree;
use crate::journal::recovery::{SegmentReader, Step};
use crate::journal::{record, segment};

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many segments.
    pub segments: u64,
    /// How many commits.
    pub commits: u64,
    /// How many events, which is also the last position.
    pub events: u64,
    /// How many bytes of records.
    pub bytes: u64,
    /// What is wrong, in order; empty when nothing is.
    pub problems: Vec<String>,
}

/// Checks the journal of the log in a folder. It reads every byte, and blocks on the disk.
///
/// # Errors
/// When a file cannot be read, or when segments are missing or their heads are damaged.
pub fn verify(folder: &Path) -> Result<Verified, LogError> {
    let journal = folder.join("journal");
    let heads = segment::list(&journal)?;
    let mut verified = Verified::default();
    let mut root = [0; 32];
    for head in &heads {
        let name = head.file_name();
        if head.previous_root != root {
            verified.problems.push(format!("{name} does not continue the segment before it: the chain is broken"));
        }
        if (head.first_commit, head.first_position) != (verified.commits + 1, verified.events + 1) {
            verified.problems.push(format!(
                "{name} begins at commit {}, not {}",
                head.first_commit,
                verified.commits + 1
            ));
        }
        let mut reader = SegmentReader::open(&journal, head)?;
        let mut tree = Tree::default();
        loop {
            match reader.next() {
                Step::Record(record) => {
                    tree.push(record::leaf(&record.bytes));
                    verified.commits = record.commit;
                    verified.events = record.last_position;
                    verified.bytes += record.bytes.len() as u64;
                }
                Step::End => break,
                Step::Bad(reason) => {
                    verified.problems.push(format!("{name} at byte {}: {reason}", reader.offset));
                    break;
                }
            }
        }
        root = tree.root();
        verified.segments += 1;
    }
    Ok(verified)
}
