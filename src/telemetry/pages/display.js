// The passenger display. Signs come as server-sent events; where none comes for a while, it says "out of service" by itself.
"use strict";

const page = document.documentElement.dataset;
const table = JSON.parse(document.getElementById("words").textContent);
const main = document.querySelector("main");
const silence = Number(page.silence);
const none = { prompt: "out_of_service", number: -1, why: null };

const NOTES = {
  go: [[880, 0, 0.09], [1320, 0.1, 0.16]],
  hold: [[220, 0, 0.5]],
  look: [[660, 0, 0.09], [660, 0.16, 0.09]],
  alarm: [[990, 0, 0.2], [660, 0.22, 0.2], [990, 0.44, 0.2], [660, 0.66, 0.2]],
};
let sound = null;

function play(tone) {
  const notes = NOTES[tone];
  if (!notes || !window.AudioContext) return;
  // A browser without leave to make sounds shows the sign all the same.
  sound = sound || new AudioContext();
  for (const [pitch, after, length] of notes) {
    const note = sound.createOscillator();
    const volume = sound.createGain();
    volume.gain.value = 0.3;
    note.frequency.value = pitch;
    note.connect(volume).connect(sound.destination);
    note.start(sound.currentTime + after);
    note.stop(sound.currentTime + after + length);
  }
}

function put(kind, said) {
  for (const place of ["first", "second"]) {
    const line = document.querySelector(`.${place}.${kind}`);
    line.textContent = said ? said[page[place]] : "";
    line.lang = page[place];
    // How long the line is, in widths of a Chinese character: short sentences are written larger.
    const widths = [...line.textContent].map((letter) => (letter > "\u2e80" ? 1 : 0.6));
    line.style.setProperty("--long", String(Math.max(1, widths.reduce((sum, width) => sum + width, 0))));
  }
}

let shown = null;

function show(sign) {
  if (shown && shown.number === sign.number && shown.prompt === sign.prompt) return;
  // A prompt that this page does not know is one of a newer daemon: the page is loaded again.
  const words = table[sign.prompt];
  if (!words) return location.reload();
  const first = shown === null;
  shown = sign;
  main.dataset.prompt = sign.prompt;
  main.dataset.tone = words.tone;
  main.querySelector("use").setAttribute("href", "#" + words.shape);
  put("says", words.says);
  put("why", sign.why);
  put("more", words.more);
  if (!first) play(words.tone);
}

let heard = performance.now();
let life = null;

function listen() {
  if (life) life.close();
  life = new EventSource(page.signs);
  life.addEventListener("sign", (event) => {
    heard = performance.now();
    show(JSON.parse(event.data));
  });
  // It comes back by itself, or by the watch below.
}

// The browser's own tries get rarer and may end; a daemon that is back is to be seen at once.
let tried = 0;
setInterval(() => {
  const now = performance.now();
  if (now - heard < silence) return;
  show(none);
  if (now - tried > 1000) {
    tried = now;
    listen();
  }
}, 200);

show(none);
shown = null;
listen();
