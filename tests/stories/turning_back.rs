//! Granted, and not gone: who turns back or does not come keeps the passage.

use std::time::Duration;

use tokio::time::sleep;
use turnstiled::domain::{Colour, Direction, LaneId, Outcome, Prompt, Reason, Verdict};

use crate::site::{Site, high};
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 1500
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "scanner", direction = "entry", line = { port = "scanner" } }]
"#;

/// A scanner shows a code once more only after it was gone for so long.
const AWAY: Duration = Duration::from_millis(2_300);
const GRANT: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);

async fn opens() -> (Site, Scanner) {
    let people = [("HC:GREEN", Colour::Green)];
    Site::open(LANES, &people, |folder, _| {
        Scanner::plug_in(&folder.join("scanner"))
    })
    .await
}

/// The same code once more: granted, walked, and used up then.
async fn walks_at_last(site: &mut Site, scanner: &Scanner) {
    sleep(AWAY).await;
    scanner.shows("HC:GREEN");
    let again = site.sees_decision().await;
    assert_eq!(
        (again.verdict, again.reason),
        GRANT,
        "nothing is held against them"
    );
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    sleep(AWAY).await;
    scanner.shows("HC:GREEN");
    let used = site.sees_decision().await;
    assert_eq!(
        (used.verdict, used.reason),
        (Verdict::Deny, Reason::Passback)
    );
}

async fn is_kept_once(site: Site) {
    let outcome =
        |outcome| format!("turnstile_passages_total{{lane=\"in\",outcome=\"{outcome}\"}}");
    assert_eq!(site.metric(&outcome("no_entry_after_grant")), 1);
    assert_eq!(site.metric(&outcome("passed")), 1);
    let kept = site.closes().await;
    let reasons: Vec<_> = kept
        .decisions()
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, ["in_order", "in_order", "passback"]);
    assert_eq!(kept.outcomes(), ["no_entry_after_grant", "passed"]);
    // Each outcome ends the grant it belongs to.
    let grants = |kind| -> Vec<_> {
        kept.of_kind(kind)
            .map(|record| record["grant"].clone())
            .filter(|grant| !grant.is_null())
            .collect()
    };
    assert_eq!(grants("decision"), grants("outcome"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_turns_back_in_the_aisle_is_waited_for_and_walks_later() {
    let (mut site, scanner) = opens().await;
    scanner.shows("HC:GREEN");
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##"]).await;
    // Longer than the barrier stays released for somebody who does not come.
    sleep(Duration::from_millis(2_500)).await;
    assert!(
        site.wires.is_active(high(17)),
        "not while somebody is there"
    );
    site.walks(5, 6, &["#."]).await;
    assert!(site.wires.is_active(high(17)), "nor while they go back");
    site.walks(5, 6, &[".."]).await;
    site.sees_outcome(Outcome::NoEntryAfterGrant).await;
    site.waits_for("locked behind them", |site| !site.wires.is_active(high(17)))
        .await;
    site.sees_prompt(Direction::Entry, Prompt::Idle).await;
    walks_at_last(&mut site, &scanner).await;
    is_kept_once(site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_come_is_granted_again() {
    let (mut site, scanner) = opens().await;
    scanner.shows("HC:GREEN");
    site.sees_release().await;
    site.sees_outcome(Outcome::NoEntryAfterGrant).await;
    site.waits_for("locked again", |site| !site.wires.is_active(high(17)))
        .await;
    walks_at_last(&mut site, &scanner).await;
    let prompts = site.prompts(LaneId(0), Direction::Entry);
    assert_eq!(
        prompts[..4],
        [Prompt::Idle, Prompt::Go, Prompt::Idle, Prompt::Go]
    );
    is_kept_once(site).await;
}
