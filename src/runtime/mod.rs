//! The loop that owns the gate, clocks, systemd notify.
