//! The board under the daemon: its temperature and the wear of its disk, read now and then on a task of its own, because
//! a sensor may take its time.
//!
//! | Fact | Where | Source |
//! |---|---|---|
//! | temperature | `class/thermal/thermal_zone*/{type,temp}`, thousandths of a degree Celsius | kernel, `Documentation/driver-api/thermal/sysfs-api.rst` |
//! | wear of an eMMC | `block/mmcblk*/device/life_time`, two hexadecimal steps of 10 %: 0x01 is up to 10 %, 0x0b is past its life | kernel, `Documentation/driver-api/mmc/mmc-dev-attrs.rst`; JEDEC JESD84-B51, `DEVICE_LIFE_TIME_EST_TYP_A`, `_B` |
//!
//! A board or a card that does not tell is no trouble: there are fewer series then. SD cards have no such attribute.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::telemetry::Metrics;
use crate::telemetry::status::MachineStatus;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Zones and disks that are looked at, at most: labels have a bound.
const PARTS_MAX: usize = 16;
/// Longest text of an attribute that is looked at, in bytes: a page of memory.
const ATTRIBUTE_BYTES_MAX: usize = 4096;

/// Looks after the machine until `stop` is true: gauges, and what the status page shows.
pub(super) async fn watch(
    sysfs: PathBuf,
    data: PathBuf,
    metrics: Metrics,
    seen: watch::Sender<MachineStatus>,
    mut stop: watch::Receiver<bool>,
) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // An error means that the gate is gone, which is a stop as well.
            _ = stop.wait_for(|stop| *stop) => return,
            _ = every.tick() => {}
        }
        let (sysfs, data) = (sysfs.clone(), data.clone());
        let looked = tokio::task::spawn_blocking(move || look(&sysfs, &data));
        let Ok(machine) = looked.await else { return };
        show(&machine, &metrics);
        seen.send_replace(machine);
    }
}

/// What the machine tells of itself.
#[must_use]
pub fn look(sysfs: &Path, data: &Path) -> MachineStatus {
    let room = rustix::fs::statvfs(data).ok();
    MachineStatus {
        celsius: temperatures(&sysfs.join("class/thermal")),
        wear: wear(&sysfs.join("block")),
        disk_free: room
            .as_ref()
            .map(|room| room.f_bavail.saturating_mul(room.f_frsize)),
        disk_size: room.map(|room| room.f_blocks.saturating_mul(room.f_frsize)),
    }
}

fn show(machine: &MachineStatus, metrics: &Metrics) {
    let series = &metrics.machine;
    for (zone, celsius) in &machine.celsius {
        let gauge = series.celsius.with_label_values(&[zone.as_str()]);
        gauge.set(*celsius);
    }
    for (disk, cells, wear) in &machine.wear {
        let gauge = series.wear.with_label_values(&[disk.as_str(), cells]);
        gauge.set(*wear);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a disk of 9 PB is told to the byte"
    )]
    if let Some((free, size)) = machine.disk_free.zip(machine.disk_size) {
        series.disk_free.set(free as f64);
        series.disk_size.set(size as f64);
    }
}

/// Names in a folder that begin with `prefix`, sorted and bounded; none where there is no such folder.
fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names.truncate(PARTS_MAX);
    names
}

fn attribute(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    (text.len() <= ATTRIBUTE_BYTES_MAX).then(|| text.trim().to_owned())
}

/// Each zone with its temperature; one that cannot be read now is left out.
fn temperatures(thermal: &Path) -> Vec<(String, f64)> {
    let zone = |name: String| {
        let folder = thermal.join(&name);
        let thousandths: i32 = attribute(&folder.join("temp"))?.parse().ok()?;
        let number = name.trim_start_matches("thermal_zone");
        let kind = attribute(&folder.join("type")).unwrap_or_else(|| "zone".into());
        let kind: String = kind
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .take(32)
            .collect();
        // Two zones of one board may be of the same type.
        Some((format!("{kind}-{number}"), f64::from(thousandths) / 1000.0))
    };
    let zones = names(thermal, "thermal_zone");
    zones.into_iter().filter_map(zone).collect()
}

/// Each disk that tells with the used part of its life, by kind of cells: `a` (usually the fast ones) and `b`.
fn wear(block: &Path) -> Vec<(String, &'static str, f64)> {
    let mut out = Vec::new();
    for disk in names(block, "mmcblk") {
        let told = attribute(&block.join(&disk).join("device/life_time"));
        let steps = told.as_deref().unwrap_or_default().split_whitespace();
        for (step, cells) in steps.zip(["a", "b"]) {
            let step = step.strip_prefix("0x").unwrap_or(step);
            // 0 means that it does not say.
            if let Ok(step @ 1..=0x0b) = u8::from_str_radix(step, 16) {
                out.push((disk.clone(), cells, f64::from(step) / 10.0));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn a_board_tells_its_temperature_and_an_emmc_its_wear() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("class/thermal/thermal_zone0/type", "cpu-thermal\n");
        put("class/thermal/thermal_zone0/temp", "48312\n");
        put("class/thermal/thermal_zone1/temp", "not now\n");
        put("class/thermal/cooling_device0/type", "fan\n");
        put("block/mmcblk0/device/life_time", "0x02 0x0b\n");
        put("block/mmcblk1/device/name", "SD32G\n");
        put("block/mmcblk2/device/life_time", "0x00 0xff\n");
        let machine = look(folder.path(), folder.path());
        assert_eq!(machine.celsius, [("cpu-thermal-0".to_owned(), 48.312)]);
        let wear = [
            ("mmcblk0".to_owned(), "a", 0.2),
            ("mmcblk0".to_owned(), "b", 1.1),
        ];
        assert_eq!(machine.wear, wear);
        let metrics = Metrics::new(&Registry::new()).unwrap();
        show(&machine, &metrics);
        let text = metrics.render().unwrap();
        assert!(text.contains("turnstile_board_celsius{zone=\"cpu-thermal-0\"} 48.312"));
        assert!(text.contains("turnstile_disk_wear_ratio{cells=\"b\",disk=\"mmcblk0\"} 1.1"));
        assert!(machine.disk_free.unwrap() <= machine.disk_size.unwrap());
    }

    #[test]
    fn a_board_that_tells_nothing_is_no_trouble() {
        let machine = look(Path::new("/nowhere"), Path::new("/nowhere"));
        assert_eq!(machine, MachineStatus::default());
    }
}
