// The status page: asks for the newest snapshot twice a second and draws it. It only reads.
"use strict";

const id = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";
const GIVE_UP_MS = 2500;

/** An element with a class, children and attributes; text is never taken for markup. */
function make(name, cls, children = [], attributes = {}) {
  const drawn = ["svg", "rect", "line", "circle", "path", "g", "title"].includes(name);
  const element = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
  if (cls) element.setAttribute("class", cls);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...[].concat(children));
  return element;
}

const fill = (place, children) => id(place).replaceChildren(...children);
const said = (word) => String(word).replaceAll("_", " ");
const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

function span(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function bytes(count) {
  if (count >= 2 ** 30) return `${(count / 2 ** 30).toFixed(1)} GiB`;
  return `${(count / 2 ** 20).toFixed(count < 2 ** 24 ? 1 : 0)} MiB`;
}

// Where each beam stands along the aisle, from the entry side on the left.
const BEAMS = { entry_beam: 40, middle_beam_1: 76, middle_beam_2: 92, middle_beam_3: 108, middle_beam_4: 124, exit_beam: 160 };

/** The aisle from above: walls, beams, barrier, and somebody in it. */
function aisle(lane) {
  const open = lane.is_open || ["released", "passing", "closing", "open"].includes(lane.state);
  const parts = [make("rect", "floor", [], { x: 0, y: 12, width: 200, height: 46 })];
  parts.push(make("rect", "wall", [], { x: 20, y: 4, width: 160, height: 8, rx: 3 }));
  parts.push(make("rect", "wall", [], { x: 20, y: 58, width: 160, height: 8, rx: 3 }));
  for (const [name, active] of lane.sensors) {
    const x = BEAMS[name] ?? { entry_rotor: 84, exit_rotor: 116 }[name];
    if (x === undefined) continue;
    const line = make("line", active ? "beam active" : "beam", [], { x1: x, x2: x, y1: 13, y2: 57 });
    parts.push(line);
  }
  const leaf = (x1, y1, x2, y2) => parts.push(make("line", "leaf", [], { x1, y1, x2, y2 }));
  if (lane.barrier === "tripod") {
    leaf(100, 13, 100, open ? 24 : 44);
    leaf(100, 13, open ? 76 : 86, open ? 34 : 16);
    leaf(100, 13, open ? 124 : 114, open ? 34 : 16);
  } else if (lane.barrier === "full_height") {
    const [dx, dy] = open ? [16, 16] : [0, 20];
    leaf(100 - dx, 35 - dy, 100 + dx, 35 + dy);
    leaf(100 - dy, 35 + dx, 100 + dy, 35 - dx);
  } else if (lane.barrier === "swing") {
    leaf(100, 14, open ? 134 : 100, open ? 16 : 56);
  } else {
    leaf(100, 14, 100, open ? 16 : 33);
    leaf(100, 56, 100, open ? 54 : 37);
  }
  for (const [side] of lane.prompts) {
    const d = side === "entry" ? "M4 35h14M12 29l6 6-6 6" : "M196 35h-14M188 29l-6 6 6 6";
    parts.push(make("path", "way", [], { d }));
  }
  if (lane.occupied) {
    const broken = lane.sensors.filter(([name, active]) => active && BEAMS[name]).map(([name]) => BEAMS[name]);
    const x = broken.length ? broken.reduce((sum, at) => sum + at, 0) / broken.length : 100;
    parts.push(make("circle", "person", [], { cx: x, cy: 35, r: 10 }));
  }
  const words = `${said(lane.barrier)}, ${said(lane.state)}, aisle ${lane.occupied ? "occupied" : "clear"}`;
  return make("svg", open ? "open" : "", parts, { viewBox: "0 0 200 70", role: "img", "aria-label": words });
}

function why(lane) {
  const one = (wish) => wish.source + (wish.uid === null ? "" : ` (uid ${wish.uid})`) + (wish.until ? ` until ${wish.until}` : "");
  const [first, ...rest] = lane.wishes;
  if (!first) return lane.mode_source;
  return [one(first), ...rest.map((wish) => `over ${wish.mode} by ${one(wish)}`)].join("; ");
}

function laneCard(lane, decisions) {
  const last = decisions.find((decision) => decision.lane === lane.name);
  const verdict = last ? `${last.verdict}, ${said(last.reason)}` : "none yet";
  return make("article", "lane", [
    make("h3", "", [make("span", "", lane.name), make("span", lane.is_open ? "warn" : "", said(lane.state))]),
    aisle(lane),
    make("p", "", `mode ${said(lane.mode)}, by ${why(lane)}`),
    make("p", "", lane.prompts.map(([side, prompt]) => `${side} shows “${said(prompt)}”`).join("; ")),
    make("p", "", [`last: ${verdict}`]),
  ]);
}

const CLASSES = { grant: "good", deny: "bad", assist: "warn" };

function decisionRow(decision, now) {
  const at = decision.utc_ms === null ? `${span((now.uptime_ms - decision.at_ms) / 1000)} ago` : clock(decision.utc_ms);
  const lane = decision.lane === decision.direction ? decision.lane : `${decision.lane} (${decision.direction})`;
  const cells = [at, lane, said(decision.medium), decision.verdict, said(decision.reason), `${(decision.decided_us / 1000).toFixed(1)} ms`];
  return make("tr", "", cells.map((cell, n) => make("td", n === 3 ? CLASSES[decision.verdict] : "", cell)));
}

function listRow(list) {
  const version = list.version ? list.version.join(".") : "not arrived";
  const age = list.age_s === null ? "unknown" : `${span(list.age_s)} ago`;
  const cells = [list.name, version, list.rows.toLocaleString("en"), age];
  return make("tr", "", cells.map((cell) => make("td", "", cell)));
}

function facts(now) {
  const [used, limit] = now.journal_bytes;
  const backend = { true: "answers", false: "is away; decisions go on from the lists here", null: "none configured" }[now.backend_up];
  const out = [
    ["Backend", backend],
    ["Waiting for it", `${now.backlog} records` + (now.uplink_lag_s ? `, for ${span(now.uplink_lag_s)}` : "")],
    ["Journal", `${bytes(used)} of ${bytes(limit)}` + (now.unwritten ? `; ${now.unwritten} records the disk refuses` : "")],
    ["Clock", now.clock + (now.utc_ms === null ? "" : `, ${new Date(now.utc_ms).toISOString().slice(0, 19).replace("T", " ")} UTC`)],
    ["Trust list", `version ${now.trust.version}, ${now.trust.signed ? "signed by the backend" : "from the config"}`],
  ];
  const { celsius, wear, disk_free: free, disk_size: size } = now.machine;
  if (free !== null) out.push(["Disk", `${bytes(free)} free of ${bytes(size)}`]);
  for (const [disk, cells, part] of wear) out.push([`Wear of ${disk}, cells ${cells}`, part > 1 ? "past its life" : `up to ${Math.round(part * 100)} %`]);
  for (const [zone, degrees] of celsius) out.push([zone, `${degrees.toFixed(1)} °C`]);
  if (now.reload) out.push(["Config read again", `${now.reload.taken ? "taken up" : "refused"} ${now.reload.said.join("; ")}`]);
  return out.map(([name, value]) => make("div", "", [make("dt", "", name), make("dd", "", value)]));
}

function draw(now) {
  document.body.classList.remove("away");
  id("summary").textContent = `version ${now.version}, up ${span(now.uptime_ms / 1000)}, clock ${now.clock}`;
  const alarms = now.alarms.map(([place, what]) => make("li", "", `${place}: ${said(what)}`));
  if (now.fire) alarms.unshift(make("li", "", "FIRE: every lane is released until somebody resets it"));
  const down = now.devices.filter((device) => !device.up);
  alarms.push(...down.map((device) => make("li", "", `device ${device.name}: ${device.state}`)));
  fill("alarms", alarms.length ? alarms : [make("li", "none", "none")]);
  fill("lanes", now.lanes.map((lane) => laneCard(lane, now.decisions)));
  const none = (n) => [make("tr", "", make("td", "", "none yet", { colspan: n }))];
  fill("decisions", now.decisions.length ? now.decisions.map((one) => decisionRow(one, now)) : none(6));
  fill("devices", now.devices.map((device) => make("li", "", [`${device.name}: `, make("span", device.up ? "good" : "bad", device.state), portWords(device.port)])));
  fill("lists", now.lists.length ? now.lists.map(listRow) : none(4));
  fill("machine", facts(now));
  const sides = now.lanes.flatMap((lane) => lane.prompts.map(([side]) => [lane.name, side]));
  const links = sides.map(([lane, side]) => make("a", "", `display ${lane} ${side}`, { href: `/display/${encodeURIComponent(lane)}?side=${side}` }));
  if (id("displays").childElementCount !== links.length) fill("displays", links);
}

/** How the port of a reader stands, and what its module says of itself. */
function portWords(port) {
  if (!port) return "";
  const speed = port.baud ? ` at ${port.baud} baud` : "";
  const why = port.why ? `: ${port.why}` : "";
  const module = port.module ? `; ${port.module}` : "";
  return `, port ${port.state}${speed}${why}${module}`;
}

/** Bars of one chart, a minute each; several values of a minute stand on each other. */
function chart(title, minutes, values, unit) {
  const stacks = minutes.map(values);
  const most = Math.max(...stacks.map((stack) => stack.reduce((sum, value) => sum + value, 0)), 0);
  const parts = [make("line", "axis", [], { x1: 0, x2: 240, y1: 60, y2: 60 })];
  stacks.forEach((stack, n) => {
    let y = 60;
    stack.forEach((value, nth) => {
      const height = most ? (value / most) * 56 : 0;
      y -= height;
      if (height) parts.push(make("rect", `bar${nth}`, [], { x: 240 - 4 * (stacks.length - n), y, width: 3, height }));
    });
  });
  const words = `${title}, most in a minute: ${Number(most.toFixed(1)).toLocaleString("en")} ${unit}`;
  const picture = make("svg", "", parts, { viewBox: "0 0 240 62", role: "img", "aria-label": words });
  return make("figure", "", [make("figcaption", "", words), picture]);
}

function drawHour(minutes) {
  const charts = [
    chart("Granted, denied, staff called", minutes, (m) => [m.granted, m.denied, m.assisted], "people"),
    chart("Slowest answer", minutes, (m) => [0, 0, 0, m.slowest_us / 1000], "ms"),
    chart("Waiting for the backend", minutes, (m) => [0, 0, 0, m.backlog], "records"),
    chart("Passed, without a grant", minutes, (m) => [m.passed, m.intruded], "people"),
  ];
  if (minutes.some((m) => m.celsius !== null)) charts.push(chart("Board", minutes, (m) => [0, 0, m.celsius ?? 0], "°C"));
  fill("hour", charts);
}

let heard = performance.now();

async function ask(path, show) {
  try {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    show(await answer.json());
    heard = performance.now();
  } catch (error) {
    if (performance.now() - heard < GIVE_UP_MS) return;
    document.body.classList.add("away");
    id("summary").textContent = `The gate has not answered for ${span((performance.now() - heard) / 1000)}; what is below is from before.`;
  }
}

draw(JSON.parse(id("now").textContent));
(async function live() {
  for (let turn = 0; ; turn++) {
    // Nobody looks: nobody needs to be asked.
    if (!document.hidden) {
      await ask("/status.json", draw);
      if (turn % 10 === 0) await ask("/history.json", drawHour);
    }
    await new Promise((done) => setTimeout(done, 500));
  }
})();
