//! Work with bytes that takes its time: shown on a terminal, given up on Ctrl-C.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tidewire_log::backup::Progress;

use super::Failure;

const EVERY: Duration = Duration::from_millis(200);

/// One line that is drawn over and over; nothing where nobody looks.
pub(super) struct Line {
    what: &'static str,
    drawn: bool,
}

impl Line {
    pub fn new(what: &'static str) -> Line {
        Line { what, drawn: false }
    }

    /// Shows how many bytes of how many are done.
    pub fn draw(&mut self, (done, total): (u64, u64)) {
        if total == 0 {
            return;
        }
        let mega = |bytes: u64| bytes as f64 / 1e6;
        let text = format!("{:.1} of {:.1} MB", mega(done), mega(total));
        self.bar(done.min(total) as f64 / total as f64, &text);
    }

    /// Shows which share is done, from 0 to 1, and what there is to say about it.
    pub fn bar(&mut self, share: f64, text: &str) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar: String = (0..20).map(|step| if f64::from(step) < share * 20.0 { '#' } else { '.' }).collect();
        // A line that cannot be drawn is not missed.
        let _ = write!(std::io::stderr(), "\r{} [{bar}] {text}  ", self.what);
        self.drawn = true;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.drawn {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// Runs work that blocks; Ctrl-C cancels it, which leaves nothing half.
pub(super) fn watch<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    what: &'static str,
    work: impl FnOnce(Progress) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    let progress = Progress::default();
    let mut line = Line::new(what);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut work = {
            let progress = progress.clone();
            tokio::task::spawn_blocking(move || work(progress))
        };
        loop {
            tokio::select! {
                done = &mut work => return done?.map_err(Into::into),
                _ = tokio::signal::ctrl_c() => progress.cancel(),
                () = tokio::time::sleep(EVERY) => line.draw(progress.bytes()),
            }
        }
    })
}

/// Watches work that is done elsewhere: `ask` says how far it is and when it is over, `cancel` gives it up.
pub(super) fn poll<T>(
    what: &'static str,
    mut ask: impl FnMut() -> Result<((u64, u64), Option<T>), Failure>,
    cancel: impl Fn() -> Result<(), Failure>,
) -> Result<T, Failure> {
    let mut line = Line::new(what);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        loop {
            let (bytes, done) = ask()?;
            line.draw(bytes);
            if let Some(done) = done {
                return Ok(done);
            }
            tokio::select! {
                _ = tokio::signal::ctrl_c() => cancel()?,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    })
}
