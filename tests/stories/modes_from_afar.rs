//! The daemon as a process: signed directives of the centre, a config that is read again, and what survives a kill.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;
use turnstiled::backend::directives::{Publication, publish};
use turnstiled::backend::system_clock;
use turnstiled::domain::directive::{LaneMode, PolicyChange, Target};
use turnstiled::domain::{Colour, Directive, GateId, Mode};

use crate::daemon::disk::Disk;
use crate::daemon::{GATE, Gate, Home, eventually};

const STAFF: &str = "[staff]\nsocket = \"staff.sock\"\n";

async fn until_in_force(gate: &Gate, mode: &str, source: &str) {
    let what = format!("mode {mode} by {source}");
    eventually(&what, async || {
        let mode = format!("turnstile_lane_mode{{lane=\"entry\",mode=\"{mode}\"}}");
        let source = format!("turnstile_lane_mode_source{{lane=\"entry\",source=\"{source}\"}}");
        gate.metric(&mode).await > 0.5 && gate.metric(&source).await > 0.5
    })
    .await;
}

/// A command for staff at the gate's socket: exit code, output, complaint.
fn lane(home: &Home, args: &[&str]) -> (Option<i32>, String, String) {
    let mut all = vec!["lane", "--socket", "staff.sock"];
    all.extend(args);
    home.command(&all)
}

fn centre_wants(home: &Home, target: Target, mode: Option<Mode>, lasts_s: u64) -> Directive {
    let now = system_clock()();
    let lane_mode = |mode| LaneMode { lane: None, mode };
    let wanted = Publication {
        target,
        not_before: now,
        not_after: now + Duration::from_secs(lasts_s),
        modes: mode.map(lane_mode).into_iter().collect(),
        policy: PolicyChange::default(),
    };
    publish(&home.path("backend"), wanted, now).unwrap()
}

fn name(name: &str) -> GateId {
    GateId::new(name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directive_counts_without_the_backend_and_over_a_kill_and_ends_by_itself() {
    let mut home = Home::new(1, STAFF).await;
    let disk = Disk::Good;
    let gate = home.gate(&disk).await;
    let north = || Target::Group(name("north"));
    let first = centre_wants(&home, north(), Some(Mode::Free), 3_600);
    until_in_force(&gate, "free", "directive").await;
    eventually("the flap is open", async || home.is_released()).await;
    let old = fs::read(home.path("backend/directives/group/north.json")).unwrap();

    // The gate's own directive is more specific; a newer one without modes ends it.
    centre_wants(&home, Target::Gate(name(GATE)), Some(Mode::Closed), 600);
    until_in_force(&gate, "closed", "directive").await;
    centre_wants(&home, Target::Gate(name(GATE)), None, 60);
    until_in_force(&gate, "free", "directive").await;

    // One for others, and one that goes back, change nothing.
    centre_wants(
        &home,
        Target::Gate(name("another")),
        Some(Mode::Closed),
        600,
    );
    let second = centre_wants(&home, north(), Some(Mode::Free), 20);
    assert!(second.version > first.version);
    let version = "turnstile_directive_version{target=\"group:north\"}";
    let newest = f64::from(u32::try_from(second.version).unwrap());
    eventually("the newest is accepted", async || {
        gate.metric(version).await >= newest
    })
    .await;
    fs::write(home.path("backend/directives/group/north.json"), old).unwrap();
    eventually("an older one is refused", async || {
        gate.metric("turnstile_directive_failures_total").await > 0.5
            && gate
                .log()
                .contains("is older than what was accepted before")
    })
    .await;
    until_in_force(&gate, "free", "directive").await;

    home.lose_backend().await;
    gate.kill();
    let gate = home.gate(&disk).await;
    until_in_force(&gate, "free", "directive").await;
    until_in_force(&gate, "normal", "config").await;
    eventually("the flap is locked", async || !home.is_released()).await;
    home.bring_back_backend().await;
    home.arrives("the end of the directive is recorded", |records| {
        records.iter().any(|one| {
            one["record"]["kind"] == "directive"
                && one["record"]["on"] == false
                && one["record"]["version"] == second.version
        })
    })
    .await;
    home.arrives("the mode of before is back, and recorded", |records| {
        let mut newest = records.iter().rev();
        let last = newest.find(|one| one["record"]["kind"] == "mode");
        last.is_some_and(|last| last["record"]["source"] == "config")
    })
    .await;
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_file_comes_signed_counts_over_a_kill_and_goes_and_the_file_beside_the_config_is_back()
 {
    let local = "policy_file = \"policy.toml\"\n";
    let policy = "required = [\"health\"]\n[entry]\ngreen = \"open\"\nyellow = \"hold\"\n";
    let home = Home::new(4, local).await;
    fs::write(home.path("policy.toml"), policy).unwrap();
    for (person, colour) in [
        (1, Colour::Yellow),
        (2, Colour::Yellow),
        (3, Colour::Yellow),
    ] {
        home.becomes(person, colour).await;
    }
    let gate = home.gate(&Disk::Good).await;
    let rows = "turnstile_list_rows{list=\"health\"}";
    eventually("the list is there", async || gate.metric(rows).await > 3.5).await;
    let held = async |gate: &Gate, person, reason: &str| {
        let before = gate.results(reason).await;
        home.shows(person);
        eventually(reason, async || gate.results(reason).await > before).await;
        assert!(!home.is_released());
    };
    held(&gate, 1, "yellow_code").await;

    // The centre's: green is for staff, and yellow passes where the national code or region 0 says it.
    let wanted = "required = [\"health\", \"ride\"]\n[entry]\ngreen = \"assist\"\n\
        [[overlay]]\nregion = [0]\nentry = { yellow = \"open\", green = \"assist\" }\n";
    fs::write(home.path("wanted.toml"), wanted).unwrap();
    let publish = |lasts: &str| {
        let args = [
            "backend",
            "directive",
            "--data",
            "backend",
            "--group",
            "north",
        ];
        let more = ["--policy", "wanted.toml", "--for", lasts];
        let (code, said, complaint) = home.command(&[&args[..], &more[..]].concat());
        assert_eq!(code, Some(0), "{said} {complaint}");
        assert!(said.contains("the policy of wanted.toml"), "{said}");
    };
    publish("1h");
    let accepted = "turnstile_directive_version{target=\"group:north\"}";
    eventually("it is accepted", async || gate.metric(accepted).await > 0.5).await;
    home.passes(2).await;
    held(&gate, 0, "site_rule").await;
    // A wrong one is not even published.
    fs::write(home.path("bad.toml"), "[entry]\ngreen = \"ajar\"\n").unwrap();
    let bad = [
        "backend",
        "directive",
        "--data",
        "backend",
        "--group",
        "north",
        "--policy",
        "bad.toml",
        "--for",
        "1h",
    ];
    let (code, _, complaint) = home.command(&bad);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(
        complaint.contains("bad.toml") && complaint.contains("entry.green"),
        "{complaint}"
    );

    gate.kill();
    let gate = home.gate(&Disk::Good).await;
    home.passes(3).await;
    // It is over by itself, and what the site says counts again.
    let before = gate.metric(accepted).await;
    publish("3s");
    eventually("the short one is accepted", async || {
        gate.metric(accepted).await > before
    })
    .await;
    sleep(Duration::from_secs(4)).await;
    held(&gate, 1, "yellow_code").await;
    home.passes(0).await;
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_and_maintenance_outlive_a_kill_until_a_person_ends_them() {
    let home = Home::new(1, STAFF).await;
    let disk = Disk::Good;
    let gate = home.gate(&disk).await;
    let (code, said, _) = lane(&home, &["mode", "entry", "maintenance"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "lane entry: mode maintenance by staff\n")
    );
    home.set_line(4, '0');
    eventually("released", async || home.is_released()).await;
    eventually("the latch is on the disk", async || {
        gate.alarms("fire").await
    })
    .await;
    sleep(Duration::from_millis(500)).await;
    gate.kill();
    home.set_line(4, '1');
    let gate = home.gate_without_list(&disk).await;
    eventually("released again", async || home.is_released()).await;
    let (_, said, _) = lane(&home, &["status"]);
    assert!(said.starts_with("FIRE: every lane is released"), "{said}");
    home.set_line(4, '0');
    // Only what is heard as a fire refuses a reset.
    sleep(Duration::from_millis(500)).await;
    eventually("the input is heard", async || {
        let (code, _, said) = lane(&home, &["reset-fire"]);
        assert_ne!(code, Some(69), "{said}");
        code == Some(1) && said.contains("still says fire")
    })
    .await;
    home.set_line(4, '1');
    eventually("it is reset", async || {
        lane(&home, &["reset-fire"]).0 == Some(0)
    })
    .await;
    eventually("locked", async || !home.is_released()).await;
    let (code, _, said) = lane(&home, &["reset-fire"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no fire to reset"), "{said}");
    until_in_force(&gate, "maintenance", "staff").await;
    let (code, _, said) = lane(&home, &["open", "entry"]);
    assert!(
        code == Some(1) && said.contains("in maintenance by staff"),
        "{said}"
    );
    assert_eq!(lane(&home, &["mode", "all", "auto", "--json"]).0, Some(0));
    until_in_force(&gate, "normal", "config").await;
    let (code, said, _) = lane(&home, &["open", "entry", "--json"]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("{\"result\":\"done\""), "{said}");
    home.walks().await;
    let records = home.have_passed(1).await;
    let deeds: Vec<_> = records
        .iter()
        .filter(|one| one["record"]["kind"] == "staff")
        .map(|one| one["record"]["deed"].as_str().unwrap())
        .collect();
    assert_eq!(deeds, ["set_mode", "reset_fire", "end_mode", "open_once"]);
    gate.stop().await;
    let (code, _, said) = lane(&home, &["status"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("no gate runs there"), "{said}");
    let (code, ..) = lane(&home, &["mode", "entry", "ajar"]);
    assert_eq!(code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_read_again_and_what_needs_a_restart_is_named() {
    let home = Home::new(3, STAFF).await;
    let disk = Disk::Good;
    let gate = home.gate(&disk).await;
    home.passes(0).await;
    let good = fs::read_to_string(home.path("gate.toml")).unwrap();

    // A bad one changes nothing and is told.
    fs::write(
        home.path("gate.toml"),
        good.replace("release_ms = 3000", "release_ms = 3"),
    )
    .unwrap();
    gate.signal("-HUP");
    let refused = "turnstile_reloads_total{result=\"refused\"}";
    eventually("it is refused", async || gate.metric(refused).await > 0.5).await;
    assert!(
        gate.log()
            .contains("3 ms is outside 500 to 30000 ms; the config before stays in force")
    );
    let bad_trust = fs::read_to_string(home.path("trust.toml")).unwrap();
    fs::write(home.path("gate.toml"), &good).unwrap();
    fs::write(home.path("trust.toml"), "version = \"none\"").unwrap();
    gate.signal("-HUP");
    eventually("so is a bad trust list", async || {
        gate.metric(refused).await > 1.5
    })
    .await;

    // What moves no barrier is taken up, and the rest is named.
    let trust = bad_trust.replace("HC:", "XX:");
    fs::write(home.path("trust.toml"), trust).unwrap();
    let changed = good
        .replace("release_ms = 3000", "release_ms = 4000")
        .replace("name = \"entry\"", "name = \"entry\"\nmode = \"normal\"")
        .replace(
            "[backend]",
            "[log]\nlevel = \"debug\"\n[policy.entry]\ngreen = \"assist\"\n[backend]",
        );
    fs::write(home.path("gate.toml"), changed).unwrap();
    gate.signal("-HUP");
    let partly = "turnstile_reloads_total{result=\"partly\"}";
    eventually("it is taken up in part", async || {
        gate.metric(partly).await > 0.5
    })
    .await;
    assert!(
        gate.log()
            .contains("key `lane[0]` has changed, and that needs a restart")
    );
    eventually("staff are told", async || {
        let (_, said, _) = lane(&home, &["status"]);
        said.contains("this of it needs a restart\nkey `lane[0]`")
    })
    .await;
    // No issuer of the new trust list has that code.
    home.shows(1);
    eventually("the new trust list counts", async || {
        gate.results("unknown_issuer").await > 0.5
    })
    .await;
    fs::write(home.path("trust.toml"), bad_trust).unwrap();
    gate.signal("-HUP");
    eventually("once more", async || gate.metric(partly).await > 1.5).await;
    home.shows(2);
    eventually("the new rule counts", async || {
        gate.results("site_rule").await > 0.5
    })
    .await;
    assert!(!home.is_released());
    gate.stop().await;
}
