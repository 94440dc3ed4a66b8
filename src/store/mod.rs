//! What a gate keeps on its disk: a disposable copy of the lists ([`codes`], sled), and what must never be lost
//! ([`journal`], redb).

pub mod codes;
mod disk;
pub mod journal;
#[cfg(test)]
mod measure;
