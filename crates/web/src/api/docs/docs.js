// Shows /openapi.json: operations by tag, with their parameters, schemas and errors, and a form to try each.
const METHODS = ["get", "post", "patch", "put", "delete"];
const DEPTH_MAX = 6;
/** A sale from the first call to the last, by operation. */
const SALE = ["sign_in", "concerts", "seats", "issue_token", "position", "activate_token", "hold", "balance", "top_up", "pay", "refund"];
/** Fields of an answer that other calls name in their path or body. */
const CARRIED = ["concert_id", "reservation_id", "payment_id"];
let api;
/** What the answers so far said of those fields. */
const carried = new Map();
/** The bodies that are shown as they were proposed, with their proposals. */
const proposals = new Map();

/** Makes an element. Text is always set as text: nothing in the document can become markup. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with `code` between backticks, as elements. */
function prose(text) {
  return (text ?? "").split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

function resolve(node) {
  let seen = 0;
  while (node?.$ref && seen++ < 10) {
    node = node.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  return node ?? {};
}

const refName = (node) => node?.$ref?.split("/").pop();

function typeOf(schema) {
  if (schema.$ref) return refName(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return several.map(typeOf).join(" | ");
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  const type = [schema.type ?? "any"].flat().join(" | ");
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  return schema.format ? `${type} (${schema.format})` : type;
}

function boundsOf(schema) {
  const names = { minimum: "at least", maximum: "at most", minLength: "length at least", maxLength: "length at most",
    minItems: "items at least", maxItems: "items at most", pattern: "pattern" };
  // A long pattern is for programs to read.
  const isShown = (key) => schema[key] !== undefined && String(schema[key]).length <= 60;
  return Object.entries(names).filter(([key]) => isShown(key)).map(([key, text]) => `${text} ${schema[key]}`).join(", ");
}

/** A schema as a tree, with what it refers to expanded. */
function schemaView(schema, depth = 0, path = []) {
  const name = refName(schema);
  if (depth > DEPTH_MAX || (name && path.includes(name))) return null;
  if (name) path = [...path, name];
  const known = resolve(schema);
  const list = el("ul", { class: "schema" });
  for (const part of known.allOf ?? known.oneOf ?? known.anyOf ?? []) {
    const inner = schemaView(part, depth + 1, path);
    if (inner) list.append(...inner.children);
  }
  if (known.items) return schemaView(known.items, depth + 1, path);
  for (const [field, value] of Object.entries(known.properties ?? {})) {
    const inner = resolve(value);
    const about = [inner.description ?? value.description, boundsOf(inner)].filter(Boolean).join(" · ");
    const required = known.required?.includes(field);
    list.append(el("li", {}, el("code", { class: required ? "required" : "" }, field), " ",
      el("span", { class: "type" }, typeOf(value)), " ", ...prose(about), schemaView(value, depth + 1, path)));
  }
  return list.children.length ? list : null;
}

function exampleOf(schema, depth = 0) {
  const known = resolve(schema);
  if (known.example !== undefined) return known.example;
  if (known.examples?.length) return known.examples[0];
  if (known.default !== undefined) return known.default;
  if (known.enum) return known.enum[0];
  if (depth > DEPTH_MAX) return null;
  const several = known.oneOf ?? known.anyOf;
  if (several) return exampleOf(several.find((one) => one.type !== "null") ?? several[0], depth + 1);
  if (known.allOf) return Object.assign({}, ...known.allOf.map((part) => exampleOf(part, depth + 1)));
  if (known.properties) {
    return Object.fromEntries(Object.entries(known.properties).map(([key, value]) => [key, exampleOf(value, depth + 1)]));
  }
  if (known.items) return [exampleOf(known.items, depth + 1)];
  const type = [known.type].flat().find((one) => one !== "null");
  return { string: "", integer: known.minimum ?? 0, number: 0, boolean: false, object: {} }[type] ?? null;
}

function contentOf(node) {
  const [type, media] = Object.entries(node?.content ?? {})[0] ?? [];
  if (!media) return null;
  const example = media.example ?? Object.values(media.examples ?? {})[0]?.value ?? exampleOf(media.schema ?? {});
  const examples = Object.entries(media.examples ?? {}).map(([name, one]) => [name, one.value]);
  return { type, schema: media.schema ?? {}, example, examples: examples.length ? examples : [["Example", example]] };
}

function contentView(content) {
  if (!content) return null;
  return el("div", {}, el("p", { class: "type" }, `${content.type}: ${typeOf(content.schema)}`), schemaView(content.schema),
    ...content.examples.map(([name, value]) =>
      el("details", {}, el("summary", {}, name), el("pre", {}, JSON.stringify(value, null, 2)))));
}

function parametersView(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) => el("tr", {},
    el("td", {}, el("code", { class: one.required ? "required" : "" }, one.name)), el("td", {}, one.in),
    el("td", {}, typeOf(one.schema ?? {})), el("td", {}, ...prose([one.description, boundsOf(resolve(one.schema))].filter(Boolean).join(" · ")))));
  return el("section", {}, el("h4", {}, "Parameters"), el("table", {}, ...rows));
}

function headersView(headers) {
  const rows = Object.entries(headers ?? {}).map(([name, raw]) => el("tr", {},
    el("td", {}, el("code", {}, name)), el("td", {}, ...prose(resolve(raw).description))));
  return rows.length ? el("table", {}, ...rows) : null;
}

function responsesView(responses) {
  const section = el("section", {}, el("h4", {}, "Answers"));
  for (const [status, raw] of Object.entries(responses ?? {})) {
    const answer = resolve(raw);
    section.append(el("details", {}, el("summary", {}, el("b", {}, status), " ", ...prose(answer.description)),
      headersView(answer.headers), contentView(contentOf(answer))));
  }
  return section;
}

/** A proposed body with the numbers that answers have told since. */
function proposal(value) {
  const known = Object.entries(value ?? {}).map(([name, one]) => [name, carried.get(name) ?? one]);
  return JSON.stringify(value && !Array.isArray(value) ? Object.fromEntries(known) : value, null, 2);
}

/** Keeps what an answer tells that other calls need. */
function carry(answer) {
  for (const name of CARRIED.filter((one) => Number.isInteger(answer?.[one]))) carried.set(name, answer[name]);
  for (const [text, [value, shown]] of proposals) {
    if (text.value !== shown) continue;
    text.value = proposal(value);
    proposals.set(text, [value, text.value]);
  }
}

/** Buttons that put the tokens of an answer into the fields at the top of the page. */
function tokenButtons(answer) {
  const tokens = [["session", "session token", answer?.session_token], ["queue", "queue token", answer?.token]];
  return tokens.filter(([, , token]) => typeof token === "string").map(([field, name, token]) => {
    const button = el("button", { type: "button" }, `Use this ${name} from now on`);
    button.addEventListener("click", () => {
      document.getElementById(field).value = token;
      button.textContent = `The ${name} is used from now on`;
      button.disabled = true;
    });
    return button;
  });
}

/** The form that sends a request, with the tokens from the top of the page. */
function tryView(method, path, parameters, body) {
  const inputs = new Map();
  const form = el("form", {});
  for (const one of parameters) {
    if (one.in === "header" && /^(authorization|queue-token)$/i.test(one.name)) continue;
    const isKey = /^idempotency-key$/i.test(one.name);
    const isToken = one.in === "path" && one.name === "token";
    const placeholder = isKey ? "made anew for each request" : isToken ? "the queue token above" : typeOf(one.schema ?? {});
    const input = el("input", { name: one.name, placeholder, autocomplete: "off" });
    if (one.in === "path" && !isToken) input.value = carried.get(one.name) ?? one.example ?? "";
    inputs.set(one, input);
    form.append(el("label", {}, `${one.name} `, input));
  }
  const text = body ? el("textarea", { "aria-label": "Body", spellcheck: "false" }) : null;
  const propose = (value) => {
    text.value = proposal(value);
    proposals.set(text, [value, text.value]);
  };
  if (body?.examples.length > 1) {
    const select = el("select", {}, ...body.examples.map(([name], at) => el("option", { value: at }, name.replaceAll("_", " "))));
    select.addEventListener("change", () => propose(body.examples[select.value][1]));
    form.append(el("label", {}, "Example ", select));
  }
  if (text) propose(body.example);
  const output = el("pre", { hidden: true, "aria-live": "polite", tabindex: "0" });
  const next = el("p", {});
  form.append(...[text, el("button", {}, "Send")].filter(Boolean), output, next);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const session = document.getElementById("session").value.trim();
    const queue = document.getElementById("queue").value.trim();
    const headers = new Headers();
    const query = new URLSearchParams();
    let target = path;
    for (const [one, input] of inputs) {
      const value = input.value || (one.in === "path" && one.name === "token" ? queue : "");
      if (one.in === "path") target = target.replace(`{${one.name}}`, encodeURIComponent(value));
      else if (value && one.in === "query") query.append(one.name, value);
      else if (value && one.in === "header") headers.set(one.name, value);
      else if (/^idempotency-key$/i.test(one.name)) headers.set(one.name, `${Date.now()}-${Math.random().toString(36).slice(2)}-docs`);
    }
    if (session) headers.set("Authorization", `Bearer ${session}`);
    if (queue) headers.set("Queue-Token", queue);
    if (text?.value.trim()) headers.set("Content-Type", "application/json");
    output.hidden = false;
    output.textContent = "…";
    next.replaceChildren();
    try {
      const url = query.size ? `${target}?${query}` : target;
      const answer = await fetch(url, { method: method.toUpperCase(), headers, body: text?.value.trim() || undefined, credentials: "omit" });
      let shown = await answer.text();
      let read;
      try {
        read = JSON.parse(shown);
        shown = JSON.stringify(read, null, 2);
      } catch { /* not JSON: shown as it is */ }
      const head = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      output.textContent = `${answer.status} ${answer.statusText}\n${head}\n\n${shown}`;
      if (answer.ok) {
        next.replaceChildren(...tokenButtons(read));
        carry(read);
      }
    } catch (error) {
      output.textContent = String(error);
    }
  });
  return el("section", {}, el("h4", {}, "Try it"), form);
}

/** An operation. What is in it is made when it is opened for the first time. */
function operationView(method, path, operation, shared) {
  const parameters = [...(shared ?? []), ...(operation.parameters ?? [])].map(resolve);
  const body = contentOf(resolve(operation.requestBody));
  const name = el("h3", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", {}, path), " ",
    ...prose(operation.summary));
  const view = el("details", { class: "operation", id: `${method}-${path}` }, el("summary", {}, name));
  view.addEventListener("toggle", () => {
    if (!view.open || view.children.length > 1) return;
    view.append(...[
      operation.description ? el("p", {}, ...prose(operation.description)) : null,
      tryView(method, path, parameters, body),
      parametersView(parameters),
      body ? el("section", {}, el("h4", {}, "Body"), contentView(body)) : null,
      responsesView(operation.responses),
    ].filter(Boolean));
  });
  return view;
}

async function problemsView() {
  const answer = await fetch("/problems");
  if (!answer.ok) return null;
  const rows = (await answer.json()).items.map((one) => el("tr", { id: `problem-${one.code}` },
    el("td", {}, el("code", {}, one.code)), el("td", {}, String(one.status)), el("td", {}, el("b", {}, one.title), " ", ...prose(one.explanation))));
  return el("section", {}, el("h2", { id: "problems" }, "Problems"), el("table", {}, ...rows));
}

/** Where an operation stands: those of a sale in its order, the others after them. */
function place(operation) {
  const at = SALE.indexOf(operation.operationId);
  return at < 0 ? SALE.length : at;
}

function link(method, path) {
  return el("a", { href: `#${method}-${path}` },
    el("span", { class: `method ${method}` }, method.toUpperCase()), path.replace(/^\/api\/v1/, ""));
}

async function show() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  api = await answer.json();
  document.getElementById("title").textContent = `${api.info?.title ?? "API"} ${api.info?.version ?? ""}`;
  document.getElementById("about").replaceChildren(...prose(api.info?.description));
  const groups = new Map((api.tags ?? []).map((tag) => [tag.name, { about: tag.description, operations: [] }]));
  for (const [path, item] of Object.entries(api.paths ?? {})) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, { operations: [] });
      groups.get(tag).operations.push([method, path, item[method], item.parameters]);
    }
  }
  const main = document.getElementById("operations");
  const index = document.getElementById("index");
  main.replaceChildren();
  const all = [...groups.values()].flatMap((group) => group.operations);
  const steps = SALE.map((id) => all.find(([, , operation]) => operation.operationId === id)).filter(Boolean);
  index.append(el("h2", {}, "A sale, call by call"), el("ol", {}, ...steps.map(([method, path, operation]) =>
    el("li", {}, link(method, path), ": ", ...prose(operation.summary)))), el("h2", {}, "All calls"));
  for (const [tag, { about, operations }] of groups) {
    if (!operations.length) continue;
    operations.sort((one, other) => place(one[2]) - place(other[2]));
    index.append(el("h3", {}, tag), el("ul", {}, ...operations.map(([method, path]) => el("li", {}, link(method, path)))));
    main.append(el("h2", {}, tag), ...(about ? [el("p", {}, ...prose(about))] : []), ...operations.map((one) => operationView(...one)));
  }
  const problems = await problemsView();
  if (problems) main.append(problems);
  openTarget();
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
}

addEventListener("hashchange", openTarget);
show().catch((error) => { document.getElementById("operations").textContent = String(error); });
