// Recovery codes that are shown once: copied and printed by a button. Without a script they are read and written down.

/** @param {HTMLElement} tools */
function start(tools) {
  const list = document.getElementById(tools.dataset["codes"] ?? "");
  const said = tools.querySelector("[role=status]");
  const copy = tools.querySelector("[data-act=copy]");
  if (!list || !(said instanceof HTMLElement)) return;
  const codes = [...list.querySelectorAll("code")].map((code) => code.textContent ?? "");
  const say = (/** @type {string | undefined} */ text) => {
    said.textContent = text ?? "";
  };
  copy?.addEventListener("click", () => {
    navigator.clipboard.writeText(`${codes.join("\n")}\n`)
      .then(() => say(said.dataset["said"]), () => say(said.dataset["failed"]));
  });
  // Browsers have a clipboard on secure pages alone.
  if (!navigator.clipboard) copy?.remove();
  tools.querySelector("[data-act=print]")?.addEventListener("click", () => window.print());
  tools.hidden = false;
}

for (const tools of document.querySelectorAll("[data-codes]")) {
  if (tools instanceof HTMLElement) start(tools);
}
