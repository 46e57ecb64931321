// Serves the page that measures itself, opens it in a headless browser, and prints what it reports.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const assets = fileURLToPath(new URL("../../crates/web/assets/", import.meta.url));
const [, , chromium, profile] = process.argv;
const KINDS = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml" };

/** A hall of 40 sections of 25 rows of 50 seats, in the compact form, as the server writes it. */
function map() {
  let random = 7;
  const next = () => (random = (random * 16807) % 2147483647) / 2147483647;
  const blocks = Array.from({ length: 1000 }, (_, at) => {
    const section = Math.floor(at / 25);
    const [grade, price] = section < 8 ? ["VIP", 180_000] : section < 20 ? ["R", 120_000] : ["S", 90_000];
    const states = Array.from({ length: 50 }, () => "AAAAAHSSSB"[Math.floor(next() * 10)]).join("");
    return { section: `${1 + Math.floor(section / 14)}층 ${1 + section}구역`, row: String(1 + at % 25), grade, price,
      first_seat_id: 1 + at * 50, first_number: 1, states };
  });
  return JSON.stringify({ concert_id: 1, version: 1, blocks });
}

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://localhost").pathname);
  if (request.method === "POST") {
    let body = "";
    for await (const part of request) body += part;
    process.stdout.write(`${body}\n`);
    response.end();
    browser.kill();
    server.close();
    server.closeAllConnections();
    return;
  }
  if (path === "/map") {
    response.setHeader("content-type", "application/json");
    response.end(map());
    return;
  }
  const file = path === "/" ? join(here, "page.html") : path === "/bench.js" ? join(here, "bench.js") : join(assets, path);
  try {
    const body = await readFile(file);
    response.setHeader("content-type", KINDS[file.slice(file.lastIndexOf("."))] ?? "application/octet-stream");
    response.end(body);
  } catch {
    response.statusCode = 404;
    response.end();
  }
});

/** @type {import("node:child_process").ChildProcess} */
let browser;
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  browser = spawn(chromium, [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--window-size=1280,900", `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`,
  ], { stdio: "ignore" });
  browser.on("error", (error) => {
    process.stderr.write(`${error}\n`);
    process.exit(1);
  });
});
