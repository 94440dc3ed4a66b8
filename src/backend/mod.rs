//! The reference backend (DESIGN §7).
