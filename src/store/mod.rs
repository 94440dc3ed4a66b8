//! What a gate keeps on its disk: a disposable copy of the lists ([`codes`], sled), and what must never be lost
//! ([`journal`], redb); and for minutes, in memory, what the backend answered ([`learned`]).

pub mod codes;
mod disk;
pub mod journal;
pub mod learned;
#[cfg(test)]
mod measure;
