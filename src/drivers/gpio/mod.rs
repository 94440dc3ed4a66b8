//! Relays and sensors behind one trait.
