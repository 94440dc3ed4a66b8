//! Gates that claim, and the backend, over real HTTP on loopback.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Backend;
use super::tests::ANY_PORT;
use crate::domain::{
    Claim, ClaimId, Claimed, Direction, GateId, Mono, PassbackKey, PersonClaim, Replay, ReplayKey,
    Subject,
};
use crate::sync::claims::{self, Claimant, News, Order};
use crate::sync::client::{self, Client};
use crate::sync::{Report, SyncEvent};

const BUDGET: Duration = Duration::from_millis(150);
/// Nobody waits so long in these tests unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// The claiming half of a gate.
struct Gate {
    orders: mpsc::Sender<Order>,
    news: mpsc::Receiver<News>,
    claims: u64,
    _stop: watch::Sender<bool>,
    _events: mpsc::Receiver<SyncEvent>,
}

impl Gate {
    fn start(name: &str, process: u64, url: &str) -> Self {
        let (orders, waiting) = mpsc::channel(16);
        let (news_in, news) = mpsc::channel(16);
        let (stop, stopping) = watch::channel(false);
        let (events_in, events) = mpsc::channel(64);
        let start = tokio::time::Instant::now();
        let claimant = Claimant {
            gate: GateId::new(name).unwrap(),
            area: Some("zone:line-2".into()),
            process,
            transport: Arc::new(Client::new(url).unwrap()),
            report: Arc::new(Report::new(events_in)),
            now: Arc::new(move || {
                let since = start.elapsed().as_micros();
                Mono::from_micros(1_000_000 + u64::try_from(since).unwrap())
            }),
        };
        tokio::spawn(claims::run(Arc::new(claimant), waiting, news_in, stopping));
        Self {
            orders,
            news,
            claims: 0,
            _stop: stop,
            _events: events,
        }
    }

    async fn order(&mut self, replay: Option<u8>, person: Option<PersonClaim>) -> ClaimId {
        self.claims += 1;
        let claim = Claim {
            id: ClaimId(self.claims),
            replay: replay.map(|n| Replay {
                key: ReplayKey([n; 32]),
                window_s: 600,
            }),
            person,
        };
        self.orders
            .send(Order::Claim(claim, PATIENCE))
            .await
            .unwrap();
        claim.id
    }

    async fn hears(&mut self) -> News {
        timeout(PATIENCE, self.news.recv()).await.unwrap().unwrap()
    }

    async fn claims(&mut self, replay: u8) -> (ClaimId, Claimed) {
        let id = self.order(Some(replay), None).await;
        let news = self.hears().await;
        assert_eq!((news.claim, news.late), (id, false));
        (id, news.claimed)
    }

    async fn take_back(&self, claim: ClaimId) {
        self.orders.send(Order::TakeBack(claim)).await.unwrap();
    }
}

const WON: Claimed = Claimed::Won { before: None };

fn is_from(claimed: &Claimed, gate: &str) -> bool {
    match claimed {
        Claimed::Replayed(by) | Claimed::PassedBack(by) => by.gate.as_str() == gate,
        Claimed::Won { .. } | Claimed::Unanswered => false,
    }
}

fn somebody(direction: Direction, known_here: bool) -> PersonClaim {
    PersonClaim {
        key: PassbackKey::Subject(Subject([9; 8])),
        direction,
        remember_s: 3_600,
        enforced: true,
        known_here,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gates_one_takes_a_code_and_over_a_restart_of_the_backend_it_stays_taken() {
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let mut north = Gate::start("north", 1, &backend.url());
    let mut south = Gate::start("south", 2, &backend.url());
    assert_eq!(north.claims(7).await.1, WON);
    assert!(is_from(&south.claims(7).await.1, "north"));
    backend.shutdown().await;
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let mut east = Gate::start("east", 3, &backend.url());
    assert!(is_from(&east.claims(7).await.1, "north"));
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_never_refuses_its_own_passenger() {
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let mut north = Gate::start("north", 1, &backend.url());
    let (first, claimed) = north.claims(7).await;
    assert_eq!(claimed, WON);
    // Nobody walked, and the word of it has not arrived.
    let (second, claimed) = north.claims(7).await;
    assert_eq!(claimed, WON);
    north.take_back(first).await;
    // The daemon was killed before the grant was on the disk: the next process knows of no use.
    let mut again = Gate::start("north", 99, &backend.url());
    assert_eq!(again.claims(7).await.1, WON);
    // Word of the claims before takes nothing away from whoever walks now.
    north.take_back(second).await;
    sleep(Duration::from_millis(300)).await;
    let mut south = Gate::start("south", 2, &backend.url());
    assert!(is_from(&south.claims(7).await.1, "north"));
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_did_not_walk_may_go_to_another_gate() {
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let mut north = Gate::start("north", 1, &backend.url());
    let mut south = Gate::start("south", 2, &backend.url());
    let (claim, _) = north.claims(7).await;
    north.take_back(claim).await;
    let free = async {
        while south.claims(7).await.1 != WON {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gate_decided_alone_is_told_when_the_backend_is_back() {
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let (addr, url) = (backend.addr(), backend.url());
    backend.shutdown().await;
    let mut north = Gate::start("north", 1, &url);
    for code in [1, 2, 3] {
        assert_eq!(north.claims(code).await.1, Claimed::Unanswered);
    }
    // Whoever did not walk is not told of at all.
    north.take_back(ClaimId(2)).await;
    let backend = Backend::start(addr, dir.path()).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let news = north.hears().await;
        assert!(news.late && news.claimed == WON, "{news:?}");
        told.push(news.claim.0);
    }
    told.sort_unstable();
    assert_eq!(told, [1, 3]);
    let mut south = Gate::start("south", 2, &url);
    assert!(is_from(&south.claims(1).await.1, "north"));
    assert_eq!(south.claims(2).await.1, WON);
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_answers_the_third_who_comes_is_not_made_to_wait() {
    // It takes calls and says nothing.
    let listener = std::net::TcpListener::bind(ANY_PORT).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut north = Gate::start("north", 1, &url);
    let mut waits = Vec::new();
    for n in 1..=4 {
        let claim = Claim {
            id: ClaimId(n),
            replay: Some(Replay {
                key: ReplayKey([7; 32]),
                window_s: 60,
            }),
            person: None,
        };
        let start = tokio::time::Instant::now();
        north
            .orders
            .send(Order::Claim(claim, BUDGET))
            .await
            .unwrap();
        assert_eq!(north.hears().await.claimed, Claimed::Unanswered);
        waits.push(start.elapsed());
    }
    assert!(waits[0] >= BUDGET && waits[1] >= BUDGET, "{waits:?}");
    assert!(waits[2] < BUDGET && waits[3] < BUDGET, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_goes_in_once_and_out_once_whichever_gate_of_the_area_they_use() {
    use Direction::{Entry, Exit};
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let mut north = Gate::start("north", 1, &backend.url());
    let mut south = Gate::start("south", 2, &backend.url());
    let mut told = Vec::new();
    north.order(None, Some(somebody(Entry, false))).await;
    told.push(north.hears().await.claimed);
    for way in [Entry, Exit] {
        south.order(None, Some(somebody(way, false))).await;
        told.push(south.hears().await.claimed);
    }
    assert_eq!(told[0], WON);
    assert!(is_from(&told[1], "north"));
    let Claimed::Won {
        before: Some((Entry, by)),
    } = &told[2]
    else {
        panic!("{told:?}")
    };
    assert_eq!(by.gate.as_str(), "north");
    // This gate remembers them going out itself: that use did come about.
    south.order(None, Some(somebody(Exit, true))).await;
    assert!(is_from(&south.hears().await.claimed, "south"));
    // It does not remember it: it never came about.
    south.order(None, Some(somebody(Exit, false))).await;
    assert!(matches!(south.hears().await.claimed, Claimed::Won { .. }));
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_as_the_page_describes_it_is_answered_so_and_nonsense_by_a_sentence() {
    let dir = TempDir::new().unwrap();
    let backend = Backend::start(ANY_PORT, dir.path()).await.unwrap();
    let client = Client::new(&backend.url()).unwrap();
    let post = async |body: Value| {
        let request = client.request(Method::POST, "/v1/claims", None).json(&body);
        let response = client::send(request).await.unwrap();
        let status = response.status().as_u16();
        let body = client::read(response, 1 << 16).await.unwrap();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (id, other, key) = ("ab".repeat(16), "cd".repeat(16), "ef".repeat(32));
    let claim = json!({"gate": "north", "claim_id": id, "replay_key": key, "window": 60});
    for _ in 0..2 {
        assert_eq!(post(claim.clone()).await, (200, json!({"claim_id": id})));
    }
    let second = json!({"gate": "south", "claim_id": other, "replay_key": key, "window": 60});
    let (status, taken) = post(second.clone()).await;
    assert_eq!((status, &taken["gate"]), (409, &json!("north")));
    assert_eq!(taken["conflict"], "replay");
    assert!(taken["at_ms"].is_u64() && taken.get("claim_id").is_none());
    let own = json!({"gate": "north", "claim_id": other, "replay_key": key, "window": 60});
    let (status, taken) = post(own).await;
    assert_eq!((status, &taken["claim_id"]), (409, &json!(id)));
    let path = format!("/v1/claims/{id}");
    let delete = async |query: Option<&str>| {
        let request = client.request(Method::DELETE, &path, query);
        client::send(request).await.unwrap().status()
    };
    assert_eq!(delete(None).await, StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        assert_eq!(delete(Some("gate=north")).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(post(claim.clone()).await.0, 410);
    assert_eq!(post(second).await.0, 200);
    let person = |area: &str, key: &str, remember: u64| {
        json!({"gate": "north", "claim_id": "12".repeat(16), "person": {
            "area": area, "key": key, "direction": "entry", "remember_s": remember, "enforced": true,
        }})
    };
    let subject = "09".repeat(8);
    for bad in [
        json!({"gate": "north", "claim_id": id}),
        json!({"gate": "north", "claim_id": "ab", "replay_key": key, "window": 60}),
        json!({"gate": "north", "claim_id": id, "replay_key": "ef", "window": 60}),
        json!({"gate": "north", "claim_id": id, "replay_key": key, "window": 172_801}),
        json!({"gate": "north", "claim_id": id, "replay_key": key, "takes_over": [id, id, id, id, id]}),
        person("line-2", &subject, 60),
        person("zone:..", &subject, 60),
        person("zone:line-2", "09", 60),
        person("zone:line-2", &subject, 0),
    ] {
        let (status, said) = post(bad.clone()).await;
        assert_eq!(status, 400, "{bad}");
        assert!(
            said["error"].as_str().is_some_and(|text| text.len() > 10),
            "{said}"
        );
    }
    assert_eq!(post(person("station:main", &subject, 60)).await.0, 200);
    backend.shutdown().await;
}
