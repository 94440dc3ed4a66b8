//! Subcommands: arguments in, exit code out.

pub mod read_image;
