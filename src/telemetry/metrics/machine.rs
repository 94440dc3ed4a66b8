//! The machine under the daemon: how warm it is, and how its disk does.

use prometheus::{Gauge, GaugeVec};

use super::MetricsError;
use super::build::Build;

/// Series of the machine. A board that does not tell has no such series.
#[derive(Clone, Debug)]
pub struct MachineSeries {
    /// `turnstile_board_celsius{zone}`: temperature.
    pub celsius: GaugeVec,
    /// `turnstile_disk_wear_ratio{disk,cells}`: part of its life that a disk says it has used.
    pub wear: GaugeVec,
    /// `turnstile_disk_free_bytes`: room for others where the journal lies.
    pub disk_free: Gauge,
    /// `turnstile_disk_size_bytes`: size of that file system.
    pub disk_size: Gauge,
}

impl MachineSeries {
    pub(super) fn new(new: &Build<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            celsius: new.real_gauges(
                "turnstile_board_celsius",
                "Temperature of the board, where it tells",
                &["zone"],
            )?,
            wear: new.real_gauges(
                "turnstile_disk_wear_ratio",
                "Part of its life that a disk has used, upper end of a step of 0.1, where it tells",
                &["disk", "cells"],
            )?,
            disk_free: new.real_gauge(
                "turnstile_disk_free_bytes",
                "Free room of the file system with the journal",
            )?,
            disk_size: new.real_gauge(
                "turnstile_disk_size_bytes",
                "Size of the file system with the journal",
            )?,
        })
    }
}
