// Recovery codes that are shown once: copied and printed by a button. Without a script they are read and written down.

/** @param {HTMLElement} tools */
function start(tools) {
  const list = document.getElementById(tools.dataset["codes"] ?? "");
  const said = tools.querySelector("[role=status]");
  if (!list || !(said instanceof HTMLElement)) return;
  const codes = [...list.querySelectorAll("code")].map((code) => code.textContent ?? "");
  tools.querySelector("[data-act=copy]")?.addEventListener("click", () => {
    const copied = navigator.clipboard?.writeText(`${codes.join("\n")}\n`);
    copied?.then(() => { said.textContent = said.dataset["said"] ?? ""; }, () => {});
  });
  tools.querySelector("[data-act=print]")?.addEventListener("click", () => window.print());
  tools.hidden = false;
}

for (const tools of document.querySelectorAll("[data-codes]")) {
  if (tools instanceof HTMLElement) start(tools);
}
