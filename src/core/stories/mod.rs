//! What people notice, told against the whole gate.

mod at_the_barrier;
mod at_the_desk;
mod claims;
mod fire_and_modes;
mod found_by_the_simulator;
mod groups_and_turns;
mod journal;
mod modes;
mod moving_parts;
mod out_of_service;
mod policies_from_afar;
mod turns_that_are_counted;
mod what_sensors_tell;
