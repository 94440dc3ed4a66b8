//! Luma frame in, text out. Pure.
