//! Subcommands: arguments in, exit code out.
