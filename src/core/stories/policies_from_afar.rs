//! The policy of a site as the centre changes it for a time: single rules, or all of it.

use std::sync::Arc;

use crate::core::scene::{Scene, TODAY_S, credential, flap, read, standing};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::directive::{DirectiveFault, PolicyChange, Target};
use crate::domain::{
    Colour, Credential, Directive, Event, Finding, GateId, HealthOutcome, Reason, Standing, Utc,
    Verdict,
};

/// A directive that is in force for so many seconds of the story.
fn directive(version: u64, from_s: u64, until_s: u64, policy: &str) -> Directive {
    Directive {
        target: Target::Gate(GateId::new("g").unwrap()),
        version,
        not_before: Utc::from_secs(TODAY_S + from_s),
        not_after: Utc::from_secs(TODAY_S + until_s),
        modes: Vec::new(),
        policy: serde_json::from_str(policy).unwrap(),
    }
}

/// Somebody of region 4.
fn from_region_4(n: u8, health: HealthOutcome, entitlements: u16) -> Finding {
    let standing = Standing {
        region: 4,
        entitlements,
        ..standing(health)
    };
    read(credential(n), standing)
}

#[test]
fn a_whole_policy_comes_as_a_directive_and_goes_with_it() {
    use {HealthOutcome as H, Reason as R, Verdict as V};
    let policy = r#"{"required": ["ride"], "entry": {"yellow": "hold"}, "exit": {"green": "assist"},
        "overlay": [{"region": [4], "entry": {"yellow": "open"}}], "certificate": [{"met": "yellow"}]}"#;
    let whole = directive(1, 10, 30, policy);
    assert_eq!(whole.check(), Ok(()));
    let again: Directive = serde_json::from_slice(&serde_json::to_vec(&whole).unwrap()).unwrap();
    assert_eq!(again, whole);
    let mut scene = Scene::new(flap());
    scene.at_ms(1_000, Event::Directed(vec![Arc::new(whole)]));
    assert!(scene.gate.certificate_rules().is_none());
    // Before: health alone counts. Meanwhile the ride alone does, and of no ride nobody is told a colour. Then as before.
    scene
        .shows(5_000, Entry, from_region_4(1, H::Yellow, 0))
        .shows(11_000, Entry, from_region_4(2, H::Red, 1))
        .shows(20_000, Entry, from_region_4(3, H::Green, 2));
    let certificates = scene.gate.certificate_rules();
    assert_eq!(certificates.unwrap()[0].met, Colour::Yellow);
    scene.shows(31_000, Entry, from_region_4(4, H::Yellow, 1));
    assert!(scene.gate.certificate_rules().is_none());
    assert_eq!(
        scene.decisions(),
        [
            (V::Assist, R::YellowCode),
            (V::Grant, R::InOrder),
            (V::Deny, R::NoAccessRights),
            (V::Assist, R::YellowCode),
        ]
    );
}

#[test]
fn overlays_of_a_directive_lie_over_its_own_rules_and_the_gates_own_over_those_of_its_group() {
    use {HealthOutcome as H, Reason as R, Verdict as V};
    let with = |version, policy| Arc::new(directive(version, 0, 600, policy));
    let own = with(2, r#"{"entry": {"red": "assist"}}"#);
    let group = with(
        1,
        r#"{"entry": {"yellow": "hold", "red": "open"}, "overlay": [{"region": [4], "entry": {"yellow": "open"}}]}"#,
    );
    let mut scene = Scene::new(flap());
    // The most specific first.
    scene.at_ms(1_000, Event::Directed(vec![own, group]));
    let elsewhere = |n, health| read(credential(n), standing(health));
    scene
        .shows(2_000, Entry, from_region_4(1, H::Yellow, 1))
        .shows(12_000, Entry, elsewhere(2, H::Yellow))
        .shows(14_000, Entry, from_region_4(3, H::Red, 1))
        .shows(16_000, Entry, elsewhere(4, H::Red));
    assert_eq!(
        scene.decisions(),
        [
            (V::Grant, R::SiteRule),
            (V::Deny, R::YellowCode),
            (V::Assist, R::RedCode),
            (V::Assist, R::RedCode),
        ]
    );
}

#[test]
fn a_directive_whose_policy_no_config_could_have_is_refused_with_its_key() {
    for (policy, why) in [
        (
            r#"{"required": []}"#,
            "key `policy.required`: somebody needs",
        ),
        (r#"{"required": ["ride", "ride"]}"#, "twice"),
        (
            r#"{"overlay": [{"entry": {"red": "open"}}]}"#,
            "key `policy.overlay[0]`: an overlay names",
        ),
        (
            r#"{"overlay": [{"region": [1], "exit": {"red": "hold"}}]}"#,
            "key `policy.overlay[0].exit`: nobody is trapped",
        ),
        (
            r#"{"certificate": [{"dose": {"from_days": 4000}}]}"#,
            "key `certificate[0].dose.from_days`: 4000 days",
        ),
    ] {
        let said = directive(1, 0, 60, policy).check().unwrap_err().to_string();
        assert!(said.contains(why), "{policy}: {said}");
    }
    for bad in [
        r#"{"required": ["rides"]}"#,
        r#"{"overlay": [{"regions": [1]}]}"#,
    ] {
        assert!(serde_json::from_str::<PolicyChange>(bad).is_err(), "{bad}");
    }
}

#[test]
fn past_the_date_of_the_trust_list_a_directive_says_what_becomes_of_whoever_leaves() {
    let late = |n| {
        let credential = Credential {
            trust_expired: true,
            ..credential(n)
        };
        read(credential, standing(HealthOutcome::Green))
    };
    let one = directive(1, 10, 60, r#"{"exit": {"trust_expired": "assist"}}"#);
    assert_eq!(one.check(), Ok(()));
    let mut scene = Scene::new(flap());
    scene.at_ms(1_000, Event::Directed(vec![Arc::new(one)]));
    scene
        .shows(2_000, Exit, late(1))
        .shows(12_000, Exit, late(2));
    assert_eq!(
        scene.decisions(),
        [
            (Verdict::Grant, Reason::ExitAlwaysOpen),
            (Verdict::Assist, Reason::TrustExpired),
        ]
    );
    // Nobody is trapped by it either.
    let trap = directive(1, 10, 60, r#"{"exit": {"trust_expired": "hold"}}"#);
    assert_eq!(trap.check(), Err(DirectiveFault::Traps));
}
