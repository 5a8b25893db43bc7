//! Says what a fault test did, in one line; `make fault` makes a table of them.

use std::fs::OpenOptions;
use std::io::Write;

/// Prints a row and adds it to the file that `FAULT_REPORT` names.
pub fn report(fault: &str, done: &str, result: &str) {
    println!("{fault}: {done}; {result}");
    if let Ok(path) = std::env::var("FAULT_REPORT") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        // In one piece, as several tests write at the same time.
        file.write_all(format!("| {fault} | {done} | {result} |\n").as_bytes()).unwrap();
    }
}
