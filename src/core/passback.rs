//! passback
