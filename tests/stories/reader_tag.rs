//! Cards that give a number: from the reader's bytes to the barrier, and what a site that asks for more does with them.

use turnstiled::domain::{Colour, Direction, Medium, Outcome, Reason, Verdict};

use crate::site::Site;
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "both"
barrier = "flap"
fail = "secure"
directions = ["entry", "exit"]
release_ms = 3000
outputs = { release_entry = 17, release_exit = 18, green_light = 22, red_light = 23 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "rdm", direction = "entry", rdm6300 = { port = "rdm" } },
    { name = "wiegand", direction = "entry", wiegand = { port = "wiegand", form = "text", bits = [26] } },
    { name = "scanner", direction = "exit", line = { port = "scanner" } },
]
"#;

const RDM: &[u8] = b"\x020D00C8D3B1A7\x03";
const W26: &[u8] = b"09795C3\r\n";
const PEOPLE: [(&str, Colour); 2] = [
    ("em4100:0D00C8D3B1", Colour::Green),
    ("bits26:25E570C0", Colour::Green),
];

async fn opens(lanes: &str) -> (Site, [Scanner; 3]) {
    Site::open(lanes, &PEOPLE, |folder, _| {
        ["rdm", "wiegand", "scanner"].map(|name| Scanner::plug_in(&folder.join(name)))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_a_list_knows_opens_the_gate_and_a_code_that_says_the_same_does_not() {
    let (mut site, [rdm, wiegand, scanner]) = opens(LANES).await;
    for (reader, bytes) in [(&rdm, RDM), (&wiegand, W26)] {
        reader.sends(bytes);
        let decided = site.sees_decision().await;
        assert_eq!(
            (decided.verdict, decided.reason, decided.medium),
            (Verdict::Grant, Reason::InOrder, Medium::Tag)
        );
        site.sees_release().await;
        site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
        site.sees_outcome(Outcome::Passed).await;
    }
    scanner.shows("em4100:0D00C8D3B1");
    let decided = site.sees_decision().await;
    assert_eq!(
        (decided.direction, decided.reason),
        (Direction::Exit, Reason::UnknownIssuer)
    );
    let kept = site.closes().await;
    let tags = kept
        .of_kind("decision")
        .filter(|record| record["medium"] == "tag");
    assert_eq!(tags.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_for_more_than_a_number_sends_a_tag_to_staff() {
    let lanes = format!("[policy.entry]\nassurance = \"signed\"\n{LANES}");
    let (mut site, [rdm, ..]) = opens(&lanes).await;
    rdm.sends(RDM);
    let decided = site.sees_decision().await;
    assert_eq!(
        (decided.verdict, decided.reason),
        (Verdict::Assist, Reason::AssuranceTooLow)
    );
    site.closes().await;
}
