//! Cameras: newest frame wins.
