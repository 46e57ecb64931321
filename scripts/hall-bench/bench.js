// Measures the drawing of a large hall, and reports the figures in milliseconds.

import { Drawing } from "/hall/draw.js";
import { Hall } from "/hall/layout.js";
import { View } from "/hall/view.js";

const FRAMES = 200;
const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
const seen = {
  isMine: () => false,
  isChosen: () => false,
  grade: (name) => ({ mark: name, style: name.toLowerCase() }),
  stage: "무대",
};

const summary = (times) => {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (part) => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(2));
  return { median: at(0.5), p95: at(0.95), most: at(1) };
};

async function settle(drawing, view) {
  for (let frame = 0; frame < 600 && drawing.frame(view); frame += 1) await nextFrame();
}

/** Frames in which `step` happens and the hall is drawn, as on the page. */
async function frames(drawing, view, step) {
  const times = [];
  for (let frame = 0; frame < FRAMES; frame += 1) {
    await nextFrame();
    const start = performance.now();
    step(frame);
    drawing.frame(view);
    times.push(performance.now() - start);
  }
  return summary(times);
}

const canvas = document.querySelector("canvas");
const text = await (await fetch("/map")).text();
await nextFrame();

const start = performance.now();
const map = JSON.parse(text);
const parsed = performance.now();
const hall = new Hall(map);
const placed = performance.now();
const drawing = new Drawing(canvas, hall, seen);
const view = new View(hall.width, hall.height);
view.resize(canvas.clientWidth, canvas.clientHeight);
drawing.frame(view);
const drawn = performance.now();
await nextFrame();
await nextFrame();
const shown = performance.now();

const report = {
  seats: hall.count,
  first: {
    parse: parsed - start, place: placed - parsed, draw: drawn - placed, script: drawn - start, shown: shown - start,
  },
};
for (const name of Object.keys(report.first)) report.first[name] = Number(report.first[name].toFixed(1));

const away = (frame) => (frame % 100 < 50 ? 12 : -12);
for (const [name, scale] of [["pan_close", 30], ["pan_middle", 9]]) {
  view.fit();
  view.zoom(scale / view.scale);
  await settle(drawing, view);
  report[name] = await frames(drawing, view, (frame) => view.pan(away(frame), away(frame) / 2));
}
report.zoom = await frames(drawing, view, (frame) => view.zoom(frame % 40 < 20 ? 1.05 : 1 / 1.05));
view.fit();
await settle(drawing, view);
report.changes_100 = await frames(drawing, view, (frame) => {
  const changed = Array.from({ length: 100 }, (_, at) => (frame * 7919 + at * 104_729) % hall.count);
  for (const seat of changed) hall.set(seat, (frame + seat) % 4);
  drawing.update(changed);
});
const points = Array.from({ length: 1000 }, (_, at) => [(at * 7919 % 1000) / 1000 * hall.width, (at * 104_729 % 1000) / 1000 * hall.height]);
const hit = performance.now();
for (const [x, y] of points) hall.seatAt(x, y);
report.hit_us = Number(((performance.now() - hit) * 1000 / points.length).toFixed(2));

await fetch("/result", { method: "POST", body: JSON.stringify(report) });
