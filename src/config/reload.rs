//! What of a changed config a running gate takes up, and what needs a restart.

use super::tree::Config;

/// `running` with everything of `new` that a running gate takes up, and the keys of what it does not: those that name
/// devices, lines and stores, or would move a barrier by themselves.
///
/// Taken up are the trust file, `policy`, `certificate`, `schedule`, `log`, who may act (`staff.users`, `staff.groups`), each list's
/// `stale_after_min`, each lane's `mode`, what happens when the journal stalls or is full, `backend.resolve_ms` and `backend.claim_ms`.
#[must_use]
pub fn take_up(running: &Config, new: &Config) -> (Config, Vec<String>) {
    let mut taken = running.clone();
    taken.trust_file.clone_from(&new.trust_file);
    taken.policy_file.clone_from(&new.policy_file);
    taken.policy = new.policy.clone();
    taken.certificates.clone_from(&new.certificates);
    taken.schedule = new.schedule.clone();
    taken.log = new.log;
    if let (Some(staff), Some(new)) = (&mut taken.staff, &new.staff) {
        staff.users.clone_from(&new.users);
        staff.groups.clone_from(&new.groups);
    }
    for list in &mut taken.lists {
        if let Some(new) = new.lists.iter().find(|new| new.name == list.name) {
            list.stale_after_min = new.stale_after_min;
        }
    }
    for lane in &mut taken.lanes {
        if let Some(new) = new.lanes.iter().find(|new| new.name == lane.name) {
            lane.mode = new.mode;
        }
    }
    let journal = &mut taken.journal;
    (journal.stall, journal.stall_ms) = (new.journal.stall, new.journal.stall_ms);
    journal.full = new.journal.full;
    if let (Some(backend), Some(new)) = (&mut taken.backend, &new.backend) {
        backend.resolve_ms = new.resolve_ms;
        backend.claim_ms = new.claim_ms;
    }
    let left = left_out(&taken, new);
    (taken, left)
}

/// Keys whose values are not those of `new`.
fn left_out(taken: &Config, new: &Config) -> Vec<String> {
    let same = [
        ("gate", taken.gate == new.gate),
        ("data_dir", taken.data_dir == new.data_dir),
        ("backend", taken.backend == new.backend),
        ("list", taken.lists == new.lists),
        ("passback", taken.passback == new.passback),
        ("journal", taken.journal == new.journal),
        ("http", taken.http == new.http),
        ("clock", taken.clock == new.clock),
        ("staff", taken.staff == new.staff),
        ("gpio", taken.gpio == new.gpio),
        ("lane", taken.lanes.len() == new.lanes.len()),
    ];
    let keys = same.into_iter().filter(|(_, same)| !same);
    let lanes = taken.lanes.iter().zip(&new.lanes).enumerate();
    let lanes = lanes.filter(|(_, (taken, new))| taken != new);
    keys.map(|(key, _)| key.to_owned())
        .chain(lanes.map(|(i, _)| format!("lane[{i}]")))
        .collect()
}
