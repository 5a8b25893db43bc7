//! Files that only their owner may read.

pub use tidewire_log::private_file::{PrivateFile, PrivateFileError, make_private_dir};
