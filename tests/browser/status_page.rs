//! The status page and a display while the demo's people come.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::browser::Browser;

/// The demo, with people who keep coming. It does not outlive its test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_the_people_of_the_demo_live() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_turnstiled"))
        .args(["demo", "--stay", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let demo = Demo(demo);
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.contains("status page"),
        "the demo says where to look: {first}"
    );
    let pages = first.split("http://").nth(1).unwrap();
    let pages = format!("http://{}", pages.split('/').next().unwrap());
    // Somebody reads along, or the demo would wait for room in the pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).count());

    let browser = Browser::start().await;
    browser.screen((390, 844)).await;
    browser.driver.goto(pages.as_str()).await.unwrap();
    let rows = "return document.querySelectorAll('#decisions tr').length >= 3
        && document.querySelectorAll('.lane svg').length === 2
        && document.querySelectorAll('#hour figure').length >= 4";
    browser.waits_for("people", rows).await;
    for screen in [(390, 844), (1280, 1100)] {
        browser.screen(screen).await;
        let wide = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(
            browser.ask(wide, Vec::new()).await,
            json!(true),
            "{screen:?}"
        );
        let axe = browser.axe().await;
        assert!(axe.is_empty(), "{screen:?}: {}", axe.join("\n"));
    }
    let first_title = "return document.querySelector('main h2').textContent === 'Alarms'";
    assert_eq!(browser.ask(first_title, Vec::new()).await, json!(true));
    let moves = "return document.querySelector('.lane svg.open .person') !== null
        && document.querySelectorAll('#decisions tr').length >= 8";
    browser.waits_for("somebody in an open aisle", moves).await;
    browser.photograph("status.png").await;

    let display = format!("{pages}/display/entry");
    browser.screen((800, 480)).await;
    browser.driver.goto(display.as_str()).await.unwrap();
    for prompt in ["go", "idle"] {
        let script = format!("return document.querySelector('main').dataset.prompt === '{prompt}'");
        browser.waits_for(prompt, &script).await;
    }
    browser.end().await;
    drop(demo);
}
