// Charts of numbers over time, one above the other, with one cursor over all of them.
//
// The cursor is a slider: it is moved by arrow keys, by touch, and by the pointer over any chart. The numbers at it
// stand beside the names of the curves, and all of them in a table. A push costs one drawing a second at most, and none
// while the page is hidden.

import { Series, areaPath, axis, linePath, placeLabels, scale, thin, ticks, timeStep } from "./model.js";

/** @typedef {import("./model.js").Columns} Columns */
/** @typedef {import("./model.js").Row} Row */
/** @typedef {import("./model.js").Point} Point */

/**
 * A curve: the key of its column and its name. `tone` is one of the six colours, and `scale` says on which side its axis
 * stands. A number that is a `count` is of what happened in its second; any other is a `level`.
 * @typedef {object} CurvePlan
 * @property {string} key
 * @property {string} label
 * @property {"count" | "level"} measure
 * @property {"line" | "area" | "dashes" | "dots"} [style]
 * @property {number} [tone]
 * @property {"left" | "right"} [scale]
 * @property {string} [detail] the key of a column of texts that says more about its number, such as `a 2, b 1`
 */
/** @typedef {{ title: string, unit?: string, curves: CurvePlan[] }} PanelPlan */
/**
 * Words: of the slider, of its button that follows the newest moment, of the table, of its column of moments, of what its
 * rows stand for, with the `{seconds}` of each, and of charts without numbers.
 * @typedef {{ cursor: string, newest: string, table: string, moment: string, step: string, empty: string }} ChartWords
 */
/**
 * `time` writes a moment; `step` is given for a tick, which needs no more than that.
 * @typedef {object} ChartPlan
 * @property {PanelPlan[]} panels
 * @property {ChartWords} words
 * @property {string} lang
 * @property {(at: number, step?: number) => string} time
 * @property {number} [span] how much time is shown, in milliseconds; all of it if it is not said
 */

const SVG = "http://www.w3.org/2000/svg";
/** Between two drawings because of news, in milliseconds. */
const DRAW_MS = 1_000;
/** Charts of the last while show at least so much of it, in milliseconds. */
const SHOWN_MIN_MS = 120_000;
/** The axis of moments takes so much of the height, and the labels of marks so much above, in pixels. */
const FOOT = 18, HEAD = 16;
/** A row of the table every so often at most. */
const ROWS = 31;
/** The size of labels, in pixels. */
const LETTERS = 11;

/**
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 */
function svg(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} name
 * @param {{ className?: string, text?: string }} [more]
 * @param {Node[]} children
 */
function html(name, { className = "", text = "" } = {}, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

/** One chart. */
class Panel {
  /** @param {PanelPlan} plan */
  constructor(plan) {
    this.plan = plan;
    this.svg = svg("svg", { class: "plot", "aria-hidden": "true", focusable: "false" });
    this.grid = svg("path", { class: "grid" });
    this.marks = svg("path", { class: "mark" });
    this.labels = svg("g");
    this.cursor = svg("path", { class: "cursor" });
    this.curves = plan.curves.map((curve, index) => {
      const tone = `tone-${curve.tone ?? (index % 6) + 1}`;
      const style = curve.style ?? "line";
      const line = svg("path", { class: `curve ${style === "area" ? "" : style} ${tone}` });
      const area = style === "area" ? svg("path", { class: `area ${tone}` }) : undefined;
      const dot = svg("circle", { class: `dot ${tone}`, r: 4 });
      const value = html("b", { text: "–" });
      const detail = html("small");
      const swatch = svg("svg", { "aria-hidden": "true", viewBox: "0 0 22 8", class: tone });
      if (style === "area") swatch.append(svg("path", { class: `area ${tone}`, d: "M0 0H22V8H0Z" }));
      swatch.append(svg("path", { class: `curve ${style === "area" ? "" : style} ${tone}`, d: style === "area" ? "M1 1H21" : "M1 4H21" }));
      const name = html("li", {}, swatch, html("span", { text: curve.label }), value, detail);
      return { plan: curve, line, area, dot, value, detail, name };
    });
    const areas = this.curves.flatMap(({ area }) => (area ? [area] : []));
    const lines = this.curves.map(({ line }) => line);
    const dots = this.curves.map(({ dot }) => dot);
    this.svg.append(this.grid, ...areas, ...lines, this.marks, this.labels, this.cursor, ...dots);
    this.empty = html("p", { className: "empty" });
    const caption = html("figcaption", {}, html("h3", { text: plan.title }));
    if (plan.unit) caption.append(html("small", { text: plan.unit }));
    const names = html("ul", {}, ...this.curves.map(({ name }) => name));
    this.element = html("figure", { className: "chart" }, caption, names, this.svg, this.empty);
    /** @type {(value: number) => number} */
    this.x = () => 0;
    /** @type {Record<string, (value: number) => number>} */
    this.y = {};
    this.height = 0;
  }

  /**
   * Draws all but the cursor.
   * @param {Series} series
   * @param {{ lang: string, time: ChartPlan["time"], from: number, until: number, marks: { at: number, label: string }[], isFirst: boolean }} how
   */
  draw(series, { lang, time, from, until, marks, isFirst }) {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    this.height = height;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const ground = height - FOOT;
    const top = isFirst && marks.length > 0 ? HEAD + 4 : 8;
    this.x = scale([from, until], [1, width - 1]);
    let grid = "";
    /** @type {Element[]} */
    const labels = [];
    for (const side of /** @type {const} */ (["left", "right"])) {
      const curves = this.plan.curves.filter((curve) => (curve.scale ?? "left") === side);
      if (curves.length === 0) continue;
      const { end, ticks: values } = axis(series.largest(curves.map(({ key }) => key)), 3);
      const y = scale([0, end], [ground, top]);
      for (const { key } of curves) this.y[key] = y;
      for (const value of values) {
        if (side === "left") grid += `M0 ${Math.round(y(value)) + 0.5}H${width}`;
        if (value === 0) continue;
        const at = side === "left" ? { x: 0, "text-anchor": "start" } : { x: width, "text-anchor": "end" };
        const label = svg("text", { ...at, y: y(value) + LETTERS + 1 });
        label.textContent = value.toLocaleString(lang);
        labels.push(label);
      }
    }
    const step = timeStep(until - from, Math.max(2, Math.floor(width / 90)));
    for (const tick of ticks(from, until, step)) {
      const x = Math.round(this.x(tick)) + 0.5;
      grid += `M${x} ${ground}v4`;
      const anchor = x < 24 ? "start" : x > width - 24 ? "end" : "middle";
      const label = svg("text", { x, y: height - 2, "text-anchor": anchor });
      label.textContent = time(tick, step);
      labels.push(label);
    }
    const drawn = marks.filter(({ at }) => at >= from && at <= until).map(({ at, label }) => ({ x: this.x(at), label }));
    this.marks.setAttribute("d", drawn.map(({ x }) => `M${Math.round(x) + 0.5} ${isFirst ? HEAD : 0}V${ground}`).join(""));
    if (isFirst) {
      for (const { x, label, anchor } of placeLabels(drawn, width, LETTERS)) {
        const text = svg("text", { class: "mark-label", x, y: LETTERS, "text-anchor": anchor });
        text.textContent = label;
        labels.push(text);
      }
    }
    this.grid.setAttribute("d", grid);
    this.labels.replaceChildren(...labels);
    for (const { plan, line, area } of this.curves) {
      const y = this.y[plan.key] ?? (() => ground);
      /** @type {Point[]} */
      const all = series.at.map((at, index) => {
        const value = series.number(plan.key, index);
        return [this.x(at), value === null ? null : y(value)];
      });
      const points = thin(all, width);
      line.setAttribute("d", linePath(points));
      area?.setAttribute("d", areaPath(points, ground));
    }
  }

  /**
   * Shows the numbers of a row.
   * @param {Series} series
   * @param {number} index
   * @param {(value: number) => string} number
   */
  read(series, index, number) {
    const x = this.x(series.at[index] ?? 0);
    const isShown = index >= 0 && this.height > 0;
    this.cursor.setAttribute("d", isShown ? `M${Math.round(x) + 0.5} 0V${this.height - FOOT}` : "");
    for (const { plan, dot, value, detail } of this.curves) {
      const read = series.number(plan.key, index);
      write(value, read === null ? "–" : number(read));
      write(detail, plan.detail ? series.text(plan.detail, index) : "");
      const y = this.y[plan.key];
      const isPoint = isShown && read !== null && y !== undefined;
      dot.setAttribute("visibility", isPoint ? "visible" : "hidden");
      if (isPoint) {
        dot.setAttribute("cx", String(x));
        dot.setAttribute("cy", String(y(read)));
      }
    }
  }
}

/**
 * @param {Element} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Charts in a part of a page. */
class Charts {
  /**
   * @param {HTMLElement} container
   * @param {ChartPlan} plan
   */
  constructor(container, plan) {
    this.plan = plan;
    const curves = plan.panels.flatMap((panel) => panel.curves);
    this.curves = curves;
    const details = curves.flatMap(({ detail }) => (detail ? [detail] : []));
    this.series = new Series([...curves.map(({ key }) => key), ...details], plan.span);
    this.panels = plan.panels.map((panel) => new Panel(panel));
    /** @type {{ at: number, label: string }[]} */
    this.marks = [];
    /** The moment that was chosen; none for the newest one. @type {number | undefined} */
    this.chosen = undefined;
    /** The moment under the pointer. @type {number | undefined} */
    this.pointed = undefined;
    this.drawnAt = -Infinity;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.isDue = false;
    this.tableAt = -Infinity;
    const format = new Intl.NumberFormat(plan.lang, { maximumFractionDigits: 1 });
    this.number = (/** @type {number} */ value) => format.format(value);

    this.slider = html("input");
    Object.assign(this.slider, { type: "range", min: "0", max: "0", step: "1", value: "0", disabled: true });
    this.slider.setAttribute("aria-label", plan.words.cursor);
    this.output = html("output", { text: "–" });
    // The slider reads its own value out.
    this.output.setAttribute("aria-hidden", "true");
    this.newest = html("button", { text: plan.words.newest });
    Object.assign(this.newest, { type: "button", disabled: true });
    this.atMark = html("span", { className: "at-mark" });
    const moment = html("div", { className: "chart-moment" }, this.output, this.slider, this.newest, this.atMark);
    this.table = html("div", { className: "wide" });
    this.table.tabIndex = 0;
    this.table.setAttribute("role", "region");
    this.table.setAttribute("aria-label", plan.words.table);
    this.details = html("details", { className: "chart-table" }, html("summary", { text: plan.words.table }), this.table);
    this.element = html("div", { className: "charts" }, ...this.panels.map(({ element }) => element), moment, this.details);
    for (const panel of this.panels) write(panel.empty, plan.words.empty);
    container.replaceChildren(this.element);
    this.#listen();
    this.#draw();
  }

  #listen() {
    this.slider.addEventListener("input", () => this.#choose(Number(this.slider.value)));
    this.newest.addEventListener("click", () => {
      this.#choose(this.series.length - 1);
      this.slider.focus();
    });
    for (const { svg: plot } of this.panels) {
      const at = (/** @type {PointerEvent} */ event) => {
        const { left, width } = plot.getBoundingClientRect();
        const { from, until } = this.#bounds();
        return this.series.nearest(scale([0, width], [from, until])(event.clientX - left));
      };
      plot.addEventListener("pointerdown", (event) => this.#choose(at(event)));
      plot.addEventListener("pointermove", (event) => {
        const index = at(event);
        if (event.pointerType !== "mouse") this.#choose(index);
        else {
          this.pointed = this.series.at[index];
          this.#read();
        }
      });
      plot.addEventListener("pointerleave", () => {
        this.pointed = undefined;
        this.#read();
      });
    }
    this.details.addEventListener("toggle", () => {
      this.tableAt = -Infinity;
      this.#fillTable();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.isDue) this.#news();
    });
    let drawn = 0;
    new ResizeObserver(() => {
      const { clientWidth } = this.element;
      if (clientWidth === drawn) return;
      drawn = clientWidth;
      this.#draw();
    }).observe(this.element);
  }

  /**
   * Replaces all numbers.
   * @param {Columns} columns
   */
  set(columns) {
    this.series.set(columns);
    this.#draw();
  }

  /**
   * Adds the numbers of moments, or puts them in the place of those that there are.
   * @param {Row[]} rows
   */
  put(rows) {
    if (this.series.put(rows)) this.#news();
  }

  /**
   * Marks a moment.
   * @param {number} at
   * @param {string} label
   */
  mark(at, label) {
    if (this.marks.some((mark) => mark.at === at && mark.label === label)) return;
    this.marks = [...this.marks, { at, label }].sort((one, other) => one.at - other.at);
    this.#news();
  }

  #news() {
    this.isDue = true;
    if (this.timer !== undefined || document.hidden) return;
    const wait = Math.max(0, this.drawnAt + DRAW_MS - performance.now());
    this.timer = window.setTimeout(() => {
      this.timer = undefined;
      // Hidden meanwhile: it is drawn when it is seen again.
      if (!document.hidden) this.#draw();
    }, wait);
  }

  #bounds() {
    const { series, plan } = this;
    const until = series.last;
    const first = series.at[0] ?? until;
    if (plan.span !== undefined) return { from: Math.max(until - plan.span, Math.min(first, until - SHOWN_MIN_MS)), until };
    // A second at least: one row has no width.
    return { from: Math.min(first, until - 1_000), until };
  }

  #draw() {
    this.isDue = false;
    this.drawnAt = performance.now();
    const { series, plan } = this;
    const { from, until } = this.#bounds();
    this.marks = this.marks.filter(({ at }) => plan.span === undefined || series.length === 0 || at >= from);
    this.panels.forEach((panel, index) => {
      panel.empty.hidden = series.length > 0;
      panel.draw(series, { lang: plan.lang, time: plan.time, from, until, marks: this.marks, isFirst: index === 0 });
    });
    this.slider.disabled = series.length === 0;
    this.slider.max = String(Math.max(0, series.length - 1));
    this.#read();
    this.#fillTable();
  }

  /** @param {number} index */
  #choose(index) {
    this.chosen = index >= this.series.length - 1 ? undefined : this.series.at[index];
    this.#read();
  }

  /** Shows the numbers at the cursor. */
  #read() {
    const { series, plan } = this;
    const newest = series.length - 1;
    // What was chosen may have left the charts.
    if (this.chosen !== undefined && this.chosen < (series.at[0] ?? 0)) this.chosen = undefined;
    const at = this.pointed ?? this.chosen;
    const index = at === undefined ? newest : series.nearest(at);
    for (const panel of this.panels) panel.read(series, index, this.number);
    const moment = series.at[index];
    const time = moment === undefined ? "–" : plan.time(moment);
    write(this.output, time);
    this.slider.value = String(this.chosen === undefined ? Math.max(0, newest) : series.nearest(this.chosen));
    this.newest.disabled = this.chosen === undefined;
    const gap = moment === undefined ? 0 : Math.max(1_000, moment - (series.at[index - 1] ?? moment));
    const near = this.marks.filter((mark) => moment !== undefined && Math.abs(mark.at - moment) <= gap);
    const marked = near.map(({ label }) => label).join(" · ");
    write(this.atMark, marked);
    const values = this.curves.map(({ key, label }) => {
      const value = series.number(key, index);
      return `${label} ${value === null ? "–" : this.number(value)}`;
    });
    const said = [time, ...values, ...(marked ? [marked] : [])].join(", ");
    if (this.slider.getAttribute("aria-valuetext") !== said) this.slider.setAttribute("aria-valuetext", said);
  }

  #fillTable() {
    const { series, plan, curves } = this;
    if (!this.details.open) return;
    const step = series.step(ROWS);
    const steps = series.steps(ROWS);
    // What is going on is left out until its step is over.
    if (plan.span !== undefined && steps.length > 1) steps.pop();
    const newest = steps.at(-1)?.at ?? 0;
    if (newest === this.tableAt) return;
    this.tableAt = newest;
    const head = html("tr", {}, html("th", { text: plan.words.moment }), ...curves.map(({ label }) => html("th", { text: label })));
    for (const cell of head.children) cell.setAttribute("scope", "col");
    const rows = steps.reverse().map((row) => {
      const moment = html("th", { text: plan.time(row.at) });
      moment.scope = "row";
      const cells = curves.map(({ key, detail, measure }) => {
        const value = series.of(key, row, measure);
        const more = detail ? series.counted(detail, row) : "";
        const text = value === null ? "–" : this.number(value);
        return html("td", { text: more ? `${text} (${more})` : text });
      });
      return html("tr", {}, moment, ...cells);
    });
    const caption = html("caption", { text: plan.words.step.replace("{seconds}", this.number(step / 1_000)) });
    this.table.replaceChildren(html("table", {}, caption, html("thead", {}, head), html("tbody", {}, ...rows)));
  }
}

/**
 * Draws charts into a part of a page.
 * @param {HTMLElement} container
 * @param {ChartPlan} plan
 */
export function charts(container, plan) {
  return new Charts(container, plan);
}
