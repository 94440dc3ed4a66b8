//! Serial wire formats. Pure.
