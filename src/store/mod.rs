//! Codes cache (sled), journal and state (redb).
