//! Four lanes on one controller: what one of them suffers, the others do not notice; a fire releases all of them in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use turnstiled::domain::{Colour, LaneId, Outcome, Reason};
use turnstiled::drivers::camera::{CameraError, FrameSource, Shape};
use turnstiled::drivers::pace::EVERY;
use turnstiled::runtime::observe::Observation;
use turnstiled::runtime::staff::wire::{Request, Result};
use turnstiled::runtime::start::OpenSource;

use crate::site::{Site, high};
use crate::terminal::Scanner;

/// Relays and rotor contacts of the lanes.
const RELAYS: [u8; 4] = [17, 18, 19, 20];
const ROTORS: [u8; 4] = [5, 6, 7, 8];
/// Fires that are measured.
const FIRES: usize = 20;

/// People at each of the three sound lanes, before and with the faults beside them. `make bench` asks for more.
fn people_per_lane() -> usize {
    std::env::var("LANES_PEOPLE").map_or(30, |people| {
        people.parse().expect("LANES_PEOPLE is a number")
    })
}

fn config() -> String {
    let mut text = "[staff]\nsocket = \"staff.sock\"\n[passback]\nmode = \"off\"\n\
                    [gpio]\ndriver = \"simulated\"\nfolder = \"lines\"\nfire_loop = 4\n"
        .to_owned();
    for ((n, relay), rotor) in (0..).zip(RELAYS).zip(ROTORS) {
        let camera = match n {
            0 => "{ name = \"eye\", direction = \"entry\", folder = { path = \"frames\" } },",
            _ => "",
        };
        text += &format!(
            "[[lane]]\nname = \"lane-{n}\"\nbarrier = \"tripod\"\nfail = \"secure\"\ndirections = [\"entry\"]\n\
             debounce_ms = 2\npulse_ms = 50\noutputs = {{ release_entry = {relay} }}\n\
             sensors = {{ entry_rotor = {rotor} }}\n\
             reader = [{camera} {{ name = \"reader-{n}\", direction = \"entry\", line = {{ port = \"port-{n}\" }} }}]\n"
        );
    }
    text
}

/// What somebody shows; a code that is shown twice within a moment is one presentation.
fn code(n: usize) -> String {
    format!("HC:GREEN-{n}")
}

/// A camera that gives nothing, and once it hangs, not even that.
struct Eye(Arc<AtomicBool>);

impl FrameSource for Eye {
    fn next(&mut self, _: &mut Vec<u8>) -> std::result::Result<Option<Shape>, CameraError> {
        while self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(None)
    }
}

async fn open(hangs: &Arc<AtomicBool>) -> (Site, Vec<Scanner>) {
    let hangs = Arc::clone(hangs);
    let eye: OpenSource = Arc::new(move || Ok(Box::new(Eye(Arc::clone(&hangs)))));
    let codes: Vec<_> = (0..2 * 3 * people_per_lane()).map(code).collect();
    let people: Vec<_> = codes
        .iter()
        .map(|code| (code.as_str(), Colour::Green))
        .collect();
    Site::open_with(
        &config(),
        &people,
        vec![("eye".to_owned(), eye)],
        |folder, _| {
            let port = |n: usize| Scanner::plug_in(&folder.join(format!("port-{n}")));
            (0..RELAYS.len()).map(port).collect()
        },
    )
    .await
}

/// What people met at the sound lanes.
struct Met {
    /// Own shares, in order.
    shares: Vec<Duration>,
    /// Who was sent to staff because the disk stood still for longer than a grant may wait.
    stalled: usize,
}

/// Where somebody at a sound lane may go, and after which own share; without one the disk stood still.
fn answered(seen: &Observation) -> Option<(LaneId, Option<Duration>)> {
    let (lane, share) = match seen {
        Observation::Released {
            lane, own_share, ..
        } => (*lane, Some(*own_share)),
        Observation::Decided(decided) if decided.reason == Reason::JournalStalled => {
            (decided.lane, None)
        }
        Observation::Decided(_) | Observation::Ended(..) | Observation::Shown(..) => return None,
    };
    (lane != LaneId(0)).then_some((lane, share))
}

/// People pass at the sound lanes, three at a time.
async fn own_shares(site: &mut Site, scanners: &[Scanner], first: usize) -> Met {
    let mut codes = (first..).map(code);
    let mut met = Met {
        shares: Vec::new(),
        stalled: 0,
    };
    for _ in 0..people_per_lane() {
        // Nobody shows codes faster than a reader takes them from people.
        sleep(EVERY).await;
        for scanner in &scanners[1..] {
            scanner.shows(&codes.next().unwrap());
        }
        let mut released = Vec::new();
        for _ in 1..4 {
            match site.sees("an answer at a sound lane", answered).await {
                (lane, Some(share)) => {
                    released.push(lane);
                    met.shares.push(share);
                }
                (_, None) => met.stalled += 1,
            }
        }
        for turning in [true, false] {
            for lane in &released {
                site.wires.set_input(ROTORS[usize::from(lane.0)], turning);
            }
            // As long as a busy machine may need to look once.
            sleep(Duration::from_millis(60)).await;
        }
        for _ in &released {
            let passed = |seen: &Observation| {
                let Observation::Ended(lane, _, outcome, Some(_)) = seen else {
                    return None;
                };
                (*lane != LaneId(0) && *outcome == Outcome::Passed).then_some(())
            };
            site.sees("somebody passes at a sound lane", passed).await;
        }
    }
    met.shares.sort_unstable();
    met
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lanes_hanging_camera_flooded_reader_and_stuck_relay_cost_the_others_nothing() {
    let hangs = Arc::new(AtomicBool::new(false));
    let (mut site, scanners) = open(&hangs).await;
    let before = own_shares(&mut site, &scanners, 0).await;

    hangs.store(true, Ordering::Relaxed);
    site.wires.stick(RELAYS[0], Some(true));
    let flooding = Arc::new(AtomicBool::new(true));
    let go_on = Arc::clone(&flooding);
    let mut scanners = scanners;
    let mad = scanners.remove(0);
    let flood = std::thread::spawn(move || {
        while go_on.load(Ordering::Relaxed) {
            for n in 0..20 {
                mad.shows(&format!("HC:FLOOD-{n}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        mad
    });
    site.waits_for("the lane is out of service", |site| {
        site.gate.status.borrow().lanes[0].prompts[0].1 == "out_of_service"
    })
    .await;
    site.waits_for("the flood is noticed", |site| {
        site.metric(
            "turnstile_presentations_total{lane=\"lane-0\",medium=\"any\",result=\"dropped\"}",
        ) > 100
    })
    .await;
    site.waits_for("the camera is given up", |site| {
        site.metric("turnstile_device_up{device=\"eye\"}") == 0
    })
    .await;
    scanners.insert(0, Scanner::plug_in(&site.folder.path().join("unused")));
    let with = own_shares(&mut site, &scanners, 3 * people_per_lane()).await;
    flooding.store(false, Ordering::Relaxed);
    let mad = flood.join().unwrap();
    let [p50, p99] = [50, 99].map(|percent| {
        (
            percentile(&before.shares, percent),
            percentile(&with.shares, percent),
        )
    });
    println!(
        "own share of three lanes, {} passages: p50 {:?}, p99 {:?}, {} sent to staff because the disk stood still; beside a \
         lane with a hanging camera, a flooded reader and a stuck relay, {} passages: p50 {:?}, p99 {:?}, {} sent to staff",
        before.shares.len(),
        p50.0,
        p99.0,
        before.stalled,
        with.shares.len(),
        p50.1,
        p99.1,
        with.stalled
    );
    // A disk that stands still does so for all lanes; a faulty lane must not make it.
    assert!(
        with.stalled <= before.stalled + people_per_lane() / 10,
        "{} after {}",
        with.stalled,
        before.stalled
    );
    // Other stories run on the same cores: what is looked for is a wait of another kind, not a millisecond.
    let most = |base: Duration| (base * 4).max(Duration::from_millis(50));
    assert!(
        p50.1 <= most(p50.0) && p99.1 <= most(p99.0),
        "{p50:?} {p99:?}"
    );
    hangs.store(false, Ordering::Relaxed);
    drop(mad);
    site.gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_releases_every_lane_within_fifty_milliseconds_of_the_edge() {
    let (site, _scanners) = open(&Arc::default()).await;
    let released = |site: &Site| {
        RELAYS
            .iter()
            .all(|relay| site.wires.is_active(high(*relay)))
    };
    let locked = |site: &Site| {
        RELAYS
            .iter()
            .all(|relay| !site.wires.is_active(high(*relay)))
    };
    let mut took = Vec::new();
    for n in 0..FIRES {
        // Another phase of every timer each time.
        sleep(Duration::from_micros(1_300 * n as u64)).await;
        let _ = site.wires.take_changes();
        let edge = site.mono.now();
        site.wires.set_input(4, false);
        site.waits_for("every lane is released", released).await;
        let last = site
            .wires
            .take_changes()
            .iter()
            .map(|change| change.at)
            .max();
        took.push(last.unwrap().since(edge));
        site.wires.set_input(4, true);
        site.waits_for("the fire is reset", |site| {
            site.asks(&Request::ResetFire).result == Result::Done
        })
        .await;
        site.waits_for("every lane is locked", locked).await;
    }
    took.sort_unstable();
    let [p50, p90] = [50, 90].map(|percent| percentile(&took, percent));
    println!(
        "edge of the fire loop to the last of four relays, {FIRES} fires: p50 {p50:?}, p90 {p90:?}, most {:?}",
        took[FIRES - 1]
    );
    // One in ten may have met a moment when other stories took both cores.
    assert!(
        percentile(&took, 89) <= Duration::from_millis(50),
        "{took:?}"
    );
    site.gate.stop().await;
}

const OWN: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "own"
barrier = "tripod"
fail = "secure"
directions = ["entry"]
gpio = { driver = "simulated", folder = "own-lines" }
outputs = { release_entry = 17 }
sensors = { entry_rotor = 5 }
reader = [{ name = "reader-own", direction = "entry", line = { port = "port-own" } }]

[[lane]]
name = "shared"
barrier = "tripod"
fail = "secure"
directions = ["entry"]
outputs = { release_entry = 17 }
sensors = { entry_rotor = 5 }
reader = [{ name = "reader-shared", direction = "entry", line = { port = "port-shared" } }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_board_that_is_gone_takes_only_its_own_lane_with_it() {
    let codes: Vec<_> = (0..4).map(code).collect();
    let people: Vec<_> = codes
        .iter()
        .map(|code| (code.as_str(), Colour::Green))
        .collect();
    let (mut site, [own, shared]) = Site::open(OWN, &people, |folder, _| {
        ["port-own", "port-shared"].map(|port| Scanner::plug_in(&folder.join(port)))
    })
    .await;
    let sign = |site: &Site, lane: usize| site.gate.status.borrow().lanes[lane].prompts[0].1;
    let file = site.folder.path().join("own-lines/gpio5");
    std::fs::write(&file, "spoiled").unwrap();
    site.waits_for("its lane is out of service", |site| {
        sign(site, 0) == "out_of_service"
    })
    .await;
    assert_eq!(site.metric("turnstile_device_up{device=\"lines.own\"}"), 0);
    assert_eq!(site.metric("turnstile_device_up{device=\"lines\"}"), 1);
    assert_eq!(sign(&site, 1), "idle");
    shared.shows(&codes[0]);
    site.sees_release().await;
    assert!(site.wires.is_active(high(17)));

    std::fs::write(&file, "0").unwrap();
    site.waits_for("it serves again", |site| sign(site, 0) == "idle")
        .await;
    site.wires.fail(true);
    site.waits_for("the other is out of service", |site| {
        sign(site, 1) == "out_of_service"
    })
    .await;
    own.shows(&codes[1]);
    site.sees_release().await;
    let relay = site.folder.path().join("own-lines/gpio17");
    assert_eq!(std::fs::read_to_string(relay).unwrap().trim(), "1");
    site.gate.stop().await;
}
