// Which view the address names, and keeping the start page up to date.

import { el } from "./dom.js";
import { home } from "./home.js";
import { start } from "./live.js";
import * as views from "./views.js";

const REST = 2000; // ms between two refreshes, at least
const main = document.getElementById("main");
const form = document.getElementById("search");
let shown = null; // the start page, while it is shown
let turn = 0;

async function route() {
  const mine = ++turn;
  const [name, ...rest] = location.hash.slice(1).split("/");
  const argument = decodeURIComponent(rest.join("/"));
  if (name === "main") return; // the link for keyboards
  form.elements.text.value = name === "search" ? argument : "";
  const say = (text, after) => setTimeout(() => main.replaceChildren(el("p", { class: "end", role: "status" }, text)), after);
  const waiting = [say("…", 300)];
  if (name === "search") waiting.push(say("The encoder is starting. It stays ready for a while afterwards.", 1500));
  let page;
  try {
    page = Object.hasOwn(views, name) ? await views[name](argument) : home();
    if (page.refresh) await page.refresh();
  } catch (error) {
    page = el("div", { class: "empty" }, el("p", { role: "alert" }, error.message), el("a", { href: "#" }, "← All"));
  }
  waiting.forEach(clearTimeout);
  if (mine !== turn) return; // somebody went on meanwhile
  shown = page.refresh ? page : null;
  main.replaceChildren(page);
  if (mine > 1) scrollTo(0, 0);
}

let due = null;

/** Refresh soon, and the more seldom the longer a refresh takes. */
function changed() {
  if (due !== null || document.hidden) return;
  due = setTimeout(async () => {
    const began = performance.now();
    try {
      if (shown) await shown.refresh();
    } catch { /* the daemon is gone for the moment; its return brings the next refresh */ }
    setTimeout(() => { due = null; if (stale) { stale = false; changed(); } }, 10 * (performance.now() - began));
  }, REST);
}

let stale = false;
function published() {
  if (due !== null || document.hidden) stale = true;
  changed();
}

document.addEventListener("visibilitychange", () => { if (stale && !document.hidden) { stale = false; changed(); } });
addEventListener("hashchange", route);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = form.elements.text.value.trim();
  location.hash = text ? `search/${encodeURIComponent(text)}` : "";
});
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, dialog")) { event.preventDefault(); form.elements.text.focus(); }
});
start(published);
route();
