//! What people notice, told against the whole gate.

mod at_the_barrier;
mod at_the_desk;
mod fire_and_modes;
mod journal;
mod modes;
mod out_of_service;
