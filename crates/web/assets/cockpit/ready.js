// @ts-check
/**
 * Looks again at the checklist, as long as the page is shown. Without this script the browser loads the page again.
 */

/**
 * @param {HTMLElement} list
 */
async function lookAgain(list) {
  const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } });
  // Signed out, or the server is going: the page stays as it is, with the moment that it is true of.
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(list.id);
  // What has the focus stays where it is.
  if (fresh && !list.contains(document.activeElement)) list.innerHTML = fresh.innerHTML;
}

const list = document.getElementById("ready");
if (list) {
  setInterval(() => {
    if (!document.hidden) lookAgain(list).catch(() => {});
  }, Number(list.dataset.lookAgain) * 1000);
}
