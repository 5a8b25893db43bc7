//! Packet ids of the exactly-once messages that one client may send again.

use std::collections::HashSet;

use crate::window::Window;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Received {
    ids: HashSet<u16>,
    /// Those that are in the session's record.
    noted: HashSet<u16>,
    /// Those that were answered on this connection.
    here: HashSet<u16>,
    /// On this connection the client has sent something new.
    gone_on: bool,
}

impl Received {
    pub(crate) fn contains(&self, id: u16) -> bool {
        self.ids.contains(&id)
    }

    /// The ids for the session's record.
    pub(crate) fn noted(&self) -> &HashSet<u16> {
        &self.noted
    }

    /// How many the client has not released since they were answered on this connection.
    pub(crate) fn held(&self) -> usize {
        self.here.len()
    }

    /// A new message has come.
    pub(crate) fn begin(&mut self, id: u16) {
        self.ids.insert(id);
        self.noted.remove(&id);
    }

    /// Everything that the message waits for has ended: says whether its id has still to be noted.
    pub(crate) fn note(&mut self, id: u16) -> bool {
        self.ids.contains(&id) && self.noted.insert(id)
    }

    /// The record could not be written.
    pub(crate) fn forget_note(&mut self, id: u16) {
        self.noted.remove(&id);
    }

    /// The message is answered: the client has its id until it releases it, unless it was refused.
    pub(crate) fn answered(&mut self, id: u16, refused: bool) {
        if refused {
            self.ids.remove(&id);
        } else {
            self.here.insert(id);
        }
    }

    /// The client will not send the message again. Says whether it was known, and whether the record changes.
    pub(crate) fn release(&mut self, id: u16) -> (bool, bool) {
        self.here.remove(&id);
        (self.ids.remove(&id), self.noted.remove(&id))
    }

    /// The client sends something new: what it has not sent again by now was released on a connection that broke, or by
    /// a process that was killed before it had taken note. Its id may be used for another message.
    pub(crate) fn go_on(&mut self, window: &Window) {
        if self.gone_on {
            return;
        }
        self.gone_on = true;
        let current = |id: &u16| self.here.contains(id) || window.awaits(*id);
        self.ids.retain(current);
        self.noted.retain(current);
    }

    pub(crate) fn disconnect(&mut self) {
        self.gone_on = false;
        self.here.clear();
    }

    /// The session will not outlive its connection: it has no record.
    pub(crate) fn forget_notes(&mut self) {
        self.noted.clear();
    }

    /// Puts back what a record says.
    pub(crate) fn restore(&mut self, ids: &[u16]) {
        self.ids.extend(ids);
        self.noted.extend(ids);
    }
}
