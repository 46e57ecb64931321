// The screen of a sale: its words and figures, its form, and where its moments come from.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Feed, POLL_MS, SILENT_MS } from "../assets/cockpit/desk/feed.js";
import { previewQuery, settingsOf, takeRoom } from "../assets/cockpit/desk/form.js";
import { clock, fills, forecastWords, hour, length, lookWords, money, stateWords } from "../assets/cockpit/desk/view.js";

const room = (more = {}) => ({
  room_id: 1, version: "100", gate: "open", max_active: 200, places: 200, admit_per_minute: 120, message: null,
  waiting: 12_480, offered: 5, active: 198, dormant: 2, missed: 1, told: { error_percent: null, within_p90_percent: null }, ...more,
});
const screen = (more = {}) => ({
  at: "2027-01-15T11:04:12.000000Z", state: "on_sale",
  opens_at: "2027-01-15T11:00:00.000000Z", closes_at: "2027-02-01T00:00:00.000000Z",
  room: room(), rates: { joins_per_minute: 38, admitted_per_minute: 61, sold_per_minute: 90 },
  seats: { available: 455, held: 341, sold: 1_204, blocked: 12 },
  grades: [], money: { sold: 151_200_000, held: 34_100_000 },
  forecast: { known: true, sold_out_at: "2027-01-15T11:11:00.000000Z", line_empty_at: null, reach_percent: 38 },
  attention: [], instances: [], seconds: [], old_seats: null, old_line: null, ...more,
});
const words = {
  day: "일", days: "{n}일", hours: "{n}시간", minutes: "{n}분", seconds: "{n}초",
  state_opens: "예매 시작까지 {clock}", state_opens_now: "곧 시작합니다", state_on_sale: "예매 중, 열린 지 {clock}", state_closed: "판매 종료",
  joins: "분당 +{n}", offered: "차례 {n} · 응답 없음 {missed}", told: "오차 {error}%, {within}% 안", idle: "빈자리 {n}", rate: "허용 {n}/분", no_rate: "제한 없음",
  held: "잡힌 좌석 {held} · 남은 좌석 {free}", pace: "분당 {n}석", money_held: "잡힌 좌석 {sum}",
  unknown: "알 수 없음", unknown_paused: "줄이 멈춰 있습니다", not_sold_out: "매진되지 않음", reach: "줄의 {percent}%", line_empty: "줄은 {when}에 비움",
  nothing: "없음", since: "{length}째", look_errors: "요청 {requests}건 중 {errors}건 실패", do_errors: "로그를 보세요.",
};
const manner = { lang: "ko", zone: "Asia/Seoul", words };

test("lengths of time are clocks and words", () => {
  for (const [seconds, shown] of [[0, "0:00"], [59.9, "0:59"], [252, "4:12"], [3_852, "1:04:12"], [90_061, "1일 01:01:01"], [-3, "0:00"]]) {
    assert.equal(clock(seconds, "일"), shown);
  }
  for (const [seconds, said] of [[0, "0초"], [59, "59초"], [60, "1분"], [125, "2분 5초"], [7_260, "2시간 1분"], [7_205, "2시간"], [200_000, "2일 7시간"]]) {
    assert.equal(length(seconds, words), said);
  }
});

test("moments and money are those of the venue and of the language", () => {
  assert.equal(hour("2027-01-15T11:04:02.500000Z", "Asia/Seoul"), "20:04:02");
  assert.equal(hour(Date.parse("2027-01-14T15:00:00Z"), "Asia/Seoul", "minute"), "00:00");
  assert.equal(money(151_200_000, "ko"), "151,200,000원");
  assert.equal(money(-5_000, "en"), "-₩5,000");
});

test("the state counts down to the opening by the server's clock, and up from it", () => {
  const opens = Date.parse(screen().opens_at);
  assert.equal(stateWords(screen({ state: "opens" }), manner, opens - 61_500), "예매 시작까지 1:02");
  assert.equal(stateWords(screen({ state: "opens" }), manner, opens), "곧 시작합니다");
  assert.equal(stateWords(screen(), manner, opens + 252_000), "예매 중, 열린 지 4:12");
  assert.equal(stateWords(screen({ state: "closed" }), manner, opens), "판매 종료");
  assert.equal(stateWords(screen({ state: "brand_new" }), manner, opens), "brand_new", "a newer server may know more");
});

test("every place of the strip has its text", () => {
  assert.deepEqual(fills(screen(), manner), {
    waiting: "12,480", joins: "분당 +38", offered: "차례 5 · 응답 없음 3", told: "", active: "198", cap: "200", idle: "빈자리 2",
    admitted: "61", rate: "허용 120/분", sold: "1,204", seats: "2,000", held: "잡힌 좌석 341 · 남은 좌석 455", pace: "분당 90석",
    money: "151,200,000원", money_held: "잡힌 좌석 34,100,000원", forecast: "20:11", forecast_more: "줄의 38%", message: "없음",
  });
  const over = fills(screen({ room: room({ admit_per_minute: null, max_active: 100, places: 100 }) }), manner);
  assert.equal(fills(screen({ room: room({ told: { error_percent: 18, within_p90_percent: 91 } }) }), manner)["told"], "오차 18%, 91% 안");
  assert.deepEqual([over.rate, over.idle], ["제한 없음", "빈자리 0"], "a cap that was lowered leaves more inside than it has");
  const sharing = fills(screen({ room: room({ places: 80, active: 70 }) }), manner);
  assert.deepEqual([sharing.cap, sharing.idle], ["80", "빈자리 10"], "the strip has the room's share");
});

test("a forecast says what it can and why it cannot", () => {
  const said = (forecast, more = {}) => forecastWords(screen({ forecast, ...more }), manner);
  assert.deepEqual(said({ known: false, reason: "paused" }), ["알 수 없음", "줄이 멈춰 있습니다"]);
  assert.deepEqual(said({ known: true, sold_out_at: null, line_empty_at: "2027-01-15T11:30:00Z", reach_percent: 100 }), ["매진되지 않음", "줄의 100% · 줄은 20:30에 비움"]);
  assert.equal(said({ known: true, sold_out_at: "2027-03-15T11:30:00Z" })[0], "매진되지 않음", "months ahead is no forecast");
  assert.equal(said({ known: true, sold_out_at: null, reach_percent: 100 }, { room: room({ waiting: 0 }) })[1], "");
});

test("what needs attention has its numbers, and a code without words is shown as it is", () => {
  const look = { code: "errors", level: "bad", since: "2027-01-15T11:02:12Z", values: { errors: 1_200, requests: 9_000, instance: "<b>" } };
  const now = Date.parse(screen().at);
  assert.deepEqual(lookWords(look, manner, now), { what: "요청 9,000건 중 1,200건 실패", todo: "로그를 보세요.", since: "2분째" });
  assert.equal(lookWords({ ...look, code: "unheard" }, manner, now).what, "unheard");
});

const was = settingsOf(room());
test("a form has the cap, which a new share leaves as it is", () => {
  assert.equal(settingsOf(room({ places: 80 })).max_active, "200");
  const form = { typed: { ...was, message: "곧 엽니다" }, was, version: "100" };
  assert.deepEqual(takeRoom(form, room({ places: 0 })), { ...form, clashes: [] });
});

test("a form takes the settings of another operator, but for what is typed", () => {
  const form = { typed: was, was, version: "100" };
  const other = room({ version: "200", max_active: 300, message: "곧 엽니다" });
  const taken = takeRoom(form, other);
  assert.deepEqual(taken, { typed: settingsOf(other), was: settingsOf(other), version: "200", clashes: [] });
  // What was typed stays, and the rest is taken: they do not meet.
  const typed = { ...was, admit_per_minute: "60" };
  const beside = takeRoom({ ...form, typed }, other);
  assert.deepEqual([beside.typed.admit_per_minute, beside.typed.max_active, beside.version, beside.clashes], ["60", "300", "200", []]);
  // Both have changed one setting: the form stays based on what its operator saw, so that the server asks again.
  const met = takeRoom({ ...form, typed: { ...was, max_active: "250" } }, other);
  assert.deepEqual([met.typed.max_active, met.was.max_active, met.version, met.clashes], ["250", "200", "100", ["max_active"]]);
  // Both have set the same.
  assert.deepEqual(takeRoom({ ...form, typed: { ...was, max_active: "300" } }, other).clashes, []);
  // One that is being typed in is left alone though nothing of it has changed yet.
  const busy = takeRoom({ ...form, busy: "message" }, other);
  assert.deepEqual([busy.typed.message, busy.clashes, busy.version], ["", ["message"], "100"]);
});

test("a preview is asked for what was touched", () => {
  assert.equal(previewQuery(was, was), undefined);
  assert.equal(previewQuery({ ...was, message: "새 안내" }, was), undefined, "words change no pace");
  assert.equal(previewQuery({ ...was, max_active: " 300 ", admit_per_minute: "" }, was), "max_active=300&admit_per_minute=");
});

/** A browser with a stream that the test drives, and answers that it gives. */
function browser(answers) {
  const asked = [];
  const streams = [];
  const listeners = {};
  globalThis.window = {
    setTimeout: (...call) => setTimeout(...call),
    clearTimeout: (timer) => clearTimeout(timer),
    addEventListener: () => {},
  };
  globalThis.document = { hidden: false, addEventListener: (name, listener) => (listeners[name] = listener) };
  globalThis.fetch = async (address) => {
    asked.push(address);
    const answer = answers.shift();
    if (!answer) throw new TypeError("no network");
    return { status: 200, ok: true, headers: new Headers(), json: async () => answer, ...(answer.status ? answer : {}) };
  };
  globalThis.EventSource = class extends EventTarget {
    constructor(address) {
      super();
      this.readyState = 0;
      this.address = address;
      streams.push(this);
    }
    close() {
      this.readyState = 2;
    }
    opens() {
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    }
    sends(name, data) {
      this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data) }));
    }
  };
  return { asked, streams, listeners };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));
const history = (...at) => ({ screen: screen(), columns: { at }, audit: [] });

function inFakeTime(run) {
  return async () => {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
    try {
      await run((millis) => (mock.timers.tick(millis), settle()));
    } finally {
      mock.timers.reset();
    }
  };
}

function follow(answers) {
  const page = browser(answers);
  const heard = [];
  const note = (name) => (value) => heard.push([name, value]);
  const feed = new Feed({ events: "/events", history: "/history" }, {
    screen: note("screen"), audit: note("audit"), columns: note("columns"), contact: note("contact"),
  });
  return { ...page, feed, heard, names: () => heard.splice(0).map(([name, value]) => (name === "contact" ? value : name)) };
}

test("moments come by the stream, and the page asks only after a silence", inFakeTime(async (pass) => {
  const { feed, streams, asked, names } = follow([history(1_000, 2_000), history(3_000)]);
  await feed.start();
  assert.deepEqual(asked, ["/history?since=0"]);
  assert.deepEqual(names(), ["live", "columns", "screen", "audit"]);
  streams[0].opens();
  for (let second = 3; second < 20; second += 1) {
    streams[0].sends("screen", screen({ seconds: [{ at: second * 1_000 }] }));
    await pass(1_000);
  }
  streams[0].sends("audit", [{ id: 1 }]);
  assert.equal(asked.length, 1);
  assert.equal(names().filter((name) => name === "audit").length, 1);
  await pass(SILENT_MS);
  assert.equal(asked[1], "/history?since=19000");
}));

test("seconds that were lost with the connection are asked for", inFakeTime(async (pass) => {
  const { feed, streams, asked } = follow([history(1_000), history(2_000, 3_000, 4_000)]);
  await feed.start();
  streams[0].opens();
  streams[0].sends("screen", screen({ seconds: [{ at: 4_000 }, { at: 5_000 }] }));
  await pass(0);
  assert.deepEqual(asked, ["/history?since=0", "/history?since=1000"]);
}));

test("a moment that has all seconds since the newest leaves nothing to ask for", inFakeTime(async (pass) => {
  const { feed, streams, asked } = follow([history(1_000)]);
  await feed.start();
  streams[0].opens();
  streams[0].sends("screen", screen({ seconds: [{ at: 2_000 }, { at: 3_000 }, { at: 4_000 }] }));
  await pass(0);
  assert.equal(asked.length, 1);
}));

test("without a stream the page asks every two seconds, and says so when nobody answers", inFakeTime(async (pass) => {
  const { feed, streams, asked, names } = follow([history(1_000), history(2_000), history(3_000)]);
  await feed.start();
  streams[0].readyState = 2;
  streams[0].dispatchEvent(new Event("error"));
  await pass(0);
  await pass(POLL_MS);
  assert.equal(asked.length, 3);
  names();
  await pass(POLL_MS);
  assert.deepEqual(names(), ["lost"]);
}));

test("a page that may look no more asks no more", inFakeTime(async (pass) => {
  const { feed, streams, asked, names } = follow([history(1_000), { status: 401, ok: false }]);
  await feed.start();
  streams[0].readyState = 2;
  streams[0].dispatchEvent(new Event("error"));
  await pass(0);
  assert.deepEqual(names().slice(-1), ["out"]);
  await pass(60_000);
  assert.equal(asked.length, 2);
}));

test("a hidden page rests, and begins from what is true now", inFakeTime(async (pass) => {
  const { feed, streams, asked, listeners } = follow([history(1_000), history(2_000)]);
  await feed.start();
  streams[0].opens();
  globalThis.document.hidden = true;
  listeners.visibilitychange();
  await pass(60_000);
  assert.deepEqual([streams[0].readyState, asked.length], [2, 1]);
  globalThis.document.hidden = false;
  listeners.visibilitychange();
  await pass(0);
  assert.deepEqual([asked.length, streams.length], [2, 2]);
}));
