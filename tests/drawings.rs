//! Drawings, made from text: each `hardware/*.wires` is one lane, a row a wire. The rows and the config of the same name say the same,
//! `hardware/*.svg` is drawn from them, and `hardware/cut-wires.md` lists what each cut wire does.
//! `DRAWINGS=write cargo test --test drawings` draws anew.

#![expect(clippy::unwrap_used, reason = "what cannot be read has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use turnstiled::config::{self, Config};

/// One wire: key, line, terminal, through, to, what its loss does.
type Wire = [String; 6];

fn hardware(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("hardware")
        .join(file)
}

/// Name, title and rows of each drawing.
fn drawings() -> Vec<(String, String, Vec<Wire>)> {
    let mut names: Vec<_> = fs::read_dir(hardware(""))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".wires").map(str::to_owned)
        })
        .collect();
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(hardware(&format!("{name}.wires"))).unwrap();
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        let title = title.split(". ").next().unwrap().to_owned();
        let wires = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
                assert_eq!(cells.len(), 6, "{name}: six cells a row: {cells:?}");
                Wire::try_from(cells).unwrap()
            });
        (name.clone(), title, wires.collect())
    };
    names.into_iter().map(read).collect()
}

/// Every line of a config by its key.
fn lines(config: &Config) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut put = |key: String, pin: u8| lines.insert(key, pin.to_string());
    if let Some(line) = config.gpio.fire_loop {
        put("fire_loop".into(), line.pin.get());
    }
    for lane in &config.lanes {
        for (key, line) in lane.outputs.lines() {
            line.map(|line| put(format!("lane.{key}"), line.pin.get()));
        }
        for (key, _, line) in lane.sensors.lines() {
            put(format!("lane.{key}"), line.pin.get());
        }
    }
    lines
}

#[test]
fn each_drawing_and_its_config_name_the_same_lines() {
    let drawings = drawings();
    assert!(drawings.len() >= 3);
    for (name, _, wires) in drawings {
        let config = config::load(&hardware(&format!("{name}.toml"))).unwrap();
        let drawn: BTreeMap<_, _> = wires
            .iter()
            .map(|[key, line, ..]| (key.clone(), line.clone()))
            .collect();
        assert_eq!(drawn, lines(&config), "{name}");
        assert_eq!(drawn.len(), wires.len(), "{name}: a key twice");
    }
}

/// Key without a number, and whether the line is active when it is high.
fn polarity(config: &Config) -> Vec<(String, bool)> {
    let fire = config
        .gpio
        .fire_loop
        .iter()
        .map(|line| ("fire_loop".to_owned(), *line));
    let lanes = config.lanes.iter().flat_map(|lane| {
        let outputs = lane.outputs.lines().into_iter();
        let outputs = outputs.filter_map(|(key, line)| line.map(|line| (key.to_string(), line)));
        let sensors = lane
            .sensors
            .lines()
            .into_iter()
            .map(|(key, _, line)| (key, line));
        outputs.chain(sensors).collect::<Vec<_>>()
    });
    fire.chain(lanes)
        .map(|(key, line)| (key.split('[').next().unwrap().to_owned(), line.level(true)))
        .collect()
}

#[test]
fn the_example_has_the_polarity_of_the_drawings() {
    let drawn: BTreeMap<_, _> = drawings()
        .iter()
        .flat_map(|(name, ..)| polarity(&config::load(&hardware(&format!("{name}.toml"))).unwrap()))
        .collect();
    let text = fs::read_to_string(hardware("example.toml")).unwrap();
    let example = config::parse(&hardware("example.toml"), &text).unwrap();
    let shown = polarity(&example);
    assert!(shown.iter().any(|(key, _)| key == "fire_loop"));
    for (key, high) in shown {
        assert_eq!(drawn.get(&key), Some(&high), "{key}");
    }
    for (key, line) in example.lanes.iter().flat_map(|lane| lane.outputs.lines()) {
        let Some(line) = line else { continue };
        assert!(
            line.pin.get() > 8,
            "{key}: lines 0 to 8 are pulled up from power on"
        );
    }
}

/// BCM numbers and pins of the header of 40 pins, the same on Pi 2 to 5 (Raspberry Pi hardware documentation, "GPIO and the
/// 40-pin header"); the second witness is `pinout` of gpiozero.
const HEADER: &[(&str, &str)] = &[
    ("2", "3"),
    ("3", "5"),
    ("4", "7"),
    ("5", "29"),
    ("6", "31"),
    ("7", "26"),
    ("8", "24"),
    ("9", "21"),
    ("10", "19"),
    ("11", "23"),
    ("12", "32"),
    ("13", "33"),
    ("14", "8"),
    ("15", "10"),
    ("16", "36"),
    ("17", "11"),
    ("18", "12"),
    ("19", "35"),
    ("20", "38"),
    ("21", "40"),
    ("22", "15"),
    ("23", "16"),
    ("24", "18"),
    ("25", "22"),
    ("26", "37"),
    ("27", "13"),
];

#[test]
fn lines_of_a_raspberry_pi_are_at_their_pins_and_relays_are_pulled_down_from_power_on() {
    for (name, _, wires) in drawings() {
        if !name.ends_with("-pi") {
            continue;
        }
        for [key, line, pin, ..] in &wires {
            assert!(
                HEADER.contains(&(line, pin)),
                "{name}: {key}: BCM {line} is not pin {pin}"
            );
            // BCM2835 ARM Peripherals, page 102: lines 0 to 8 are pulled up after a reset, 9 to 27 down.
            let is_output = ["release", "light", "buzzer"]
                .iter()
                .any(|word| key.contains(word));
            assert!(
                !is_output || line.parse::<u8>().unwrap() > 8,
                "{name}: {key}"
            );
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('`', "")
}

/// A row a wire: terminal, what it goes through, what it goes to.
fn svg(title: &str, wires: &[Wire]) -> String {
    const ROW: usize = 46;
    let height = 150 + ROW * wires.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1180 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"1180\" height=\"{height}\" fill=\"#fff\"/>\n<text x=\"20\" y=\"30\" font-size=\"18\" font-weight=\"bold\">{}</text>\n\
         <rect x=\"20\" y=\"50\" width=\"230\" height=\"{}\" fill=\"#eef\" stroke=\"#336\"/>\n",
        escaped(title),
        ROW * wires.len() + 10
    );
    for (nth, [key, line, terminal, through, to, _]) in wires.iter().enumerate() {
        let y = 80 + ROW * nth;
        // What goes out is drawn solid, what comes in dashed.
        let is_output = ["release", "light", "buzzer"]
            .iter()
            .any(|word| key.contains(word));
        let dash = if is_output {
            ""
        } else {
            " stroke-dasharray=\"6 3\""
        };
        let middle = y - 5;
        write!(
            svg,
            "<text x=\"30\" y=\"{y}\">{}</text><text x=\"242\" y=\"{y}\" text-anchor=\"end\">line {line}, {terminal}</text>\n\
             <path d=\"M250 {middle}H330M560 {middle}H640\" stroke=\"#000\"{dash}/>\n\
             <rect x=\"330\" y=\"{}\" width=\"230\" height=\"30\" fill=\"#efe\" stroke=\"#363\"/><text x=\"340\" y=\"{y}\">{}</text>\n\
             <rect x=\"640\" y=\"{}\" width=\"520\" height=\"30\" fill=\"#fee\" stroke=\"#633\"/><text x=\"650\" y=\"{y}\">{}</text>\n",
            escaped(key.trim_start_matches("lane.")),
            y - 20,
            escaped(through),
            y - 20,
            escaped(to)
        )
        .unwrap();
    }
    let y = 100 + ROW * wires.len();
    write!(
        svg,
        "<text x=\"20\" y=\"{y}\">Solid: out; dashed: in. Fire: the panel's contact opens K9, whose contact cuts the supply of the barrier past every \
         line drawn here (wiring.md).</text>\n<text x=\"20\" y=\"{}\">24 V and 3.3 V meet nowhere: relays behind the driver's transistors, inputs behind \
         optocouplers. Undriven outputs are pulled down: every relay is off.</text>\n</svg>\n",
        y + 22
    )
    .unwrap();
    svg
}

fn cut_wires(drawings: &[(String, String, Vec<Wire>)]) -> String {
    let mut page = String::from(
        "# What each cut wire does\n\nMade from the drawings: `DRAWINGS=write cargo test --test drawings`. Sensors conduct at rest, so that a cut \
         wire reads as what it must not hide; outputs are off when they are cut.\n",
    );
    for (name, title, wires) in drawings {
        write!(page, "\n## {title}\n\n[Drawing]({name}.svg), [config]({name}.toml).\n\n| Wire | Line | Terminal | A cut wire |\n|---|---|---|---|\n").unwrap();
        for [key, line, terminal, _, _, cut] in wires {
            writeln!(page, "| `{key}` | {line} | {terminal} | {cut} |").unwrap();
        }
    }
    page
}

#[test]
fn drawings_and_the_table_of_cut_wires_are_those_of_the_text() {
    let drawings = drawings();
    let mut files = vec![("cut-wires.md".to_owned(), cut_wires(&drawings))];
    for (name, title, wires) in &drawings {
        files.push((format!("{name}.svg"), svg(title, wires)));
    }
    for (file, wanted) in files {
        let path = hardware(&file);
        if std::env::var("DRAWINGS").is_ok_and(|what| what == "write") {
            fs::write(&path, &wanted).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == wanted,
            "{file} is old: DRAWINGS=write cargo test --test drawings"
        );
    }
}
