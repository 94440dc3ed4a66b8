//! Serial readers.
