//! To be written with the log.
