// What the daemon is doing: the header, the volumes, and what a person should know.

import { get, listen, order } from "./api.js";
import { count, el, roughly, when } from "./dom.js";

const STATES = {
  starting: "Starting", scanning: "Looking for changes", indexing: "Taking in files", clustering: "Grouping",
  idle: "Up to date", stopping: "Stopping", lost: "No answer from the daemon; trying again",
};
const $ = (id) => document.getElementById(id);

/** The latest status; null before the first. */
export let status = null;

/** Ask for the first status where nobody has told it yet. */
export async function known() {
  if (status === null) take(await get("/api/status"));
}

/** Begin to listen; `changed` is called when there is something new to show. */
export function start(changed) {
  listen({
    status: (news) => { const first = status === null; take(news); if (first) changed(); },
    published: () => { askSoon(); changed(); },
    lost: () => { if (status) take({ ...status, state: "lost" }); else $("state").textContent = STATES.lost; },
  });
}

let asking = null;

/** What a state turns into is not an event: while there is work, ask now and then. */
function askSoon() {
  if (asking !== null) return;
  asking = setTimeout(async () => {
    asking = null;
    if (document.hidden) return askSoon();
    try { take(await get("/api/status")); } catch { /* the stream tells when it is there again */ }
  }, 2000);
}

function take(news) {
  status = news;
  show();
  if (!["idle", "lost"].includes(status.state)) askSoon();
}

/** A folder without the path of its volume. */
export function shortFolder(path) {
  const home = status?.volumes.find((volume) => path === volume.path || path.startsWith(`${volume.path}/`));
  return home ? `${home.name}${path.slice(home.path.length)}` : path;
}

function show() {
  const { state, pending, assets, encoder } = status;
  const left = status.eta_seconds ? `, ${roughly(status.eta_seconds)} left` : "";
  const rest = pending ? `${STATES[state] || state}: ${count(pending, "file")} to go${left}` : STATES[state] || state;
  $("state").replaceChildren(el("span", { class: `dot ${pending ? "busy" : state}` }), rest);
  const files = assets.images + assets.videos;
  const bar = $("progress");
  bar.hidden = !pending;
  if (pending) { bar.max = files + pending; bar.value = files; }
  showSearch(encoder);
  $("volumes").replaceChildren(...status.volumes.map(volumeChip));
  $("notices").replaceChildren(...notices().map((text) => el("p", { class: "notice", role: "alert" }, text)));
}

function showSearch(encoder) {
  const words = $("words");
  words.disabled = !encoder.text;
  words.placeholder = encoder.text ? "Search by words: a red car, a dog on a beach" : "Search by words: not with this encoder";
  $("no-search").hidden = encoder.text;
  if (encoder.text) return;
  const using = encoder.spec ? `The encoder in use (${encoder.spec}) knows no words` : "No encoder is ready yet";
  $("no-search").textContent = `${using}, so that pictures can be searched by likeness only. ` +
    (encoder.problem || "An open_clip model knows words: see encoder in the configuration.");
}

const VOLUME_STATES = {
  online: () => null,
  offline: (volume) => `offline: ${volume.path} ${volume.reason || "is not there"}. Nothing of it is lost.`,
  unreadable: (volume) => `cannot be read: ${volume.reason || "the log says why"}`,
};

function volumeChip(volume) {
  const trouble = (VOLUME_STATES[volume.state] || (() => volume.state))(volume);
  const scan = volume.last_scan ? `compared with the disk ${when(volume.last_scan)}` : "not looked through yet";
  const unread = volume.unreadable?.length ? `, ${count(volume.unreadable.length, "name")} cannot be read` : "";
  return el("li", { class: volume.state, title: `${volume.path}\n${scan}` },
    el("span", { class: `dot ${volume.state}` }),
    el("b", {}, volume.name), ` ${count(volume.assets, "file")}${unread}`,
    trouble ? el("span", { class: "trouble" }, ` ${trouble}`) : null);
}

function notices() {
  const found = status.config.problems.map((problem) => `The configuration is not in force as it stands: ${problem}`);
  if (status.encoder.text && status.encoder.problem) found.push(status.encoder.problem);
  if (status.encoder.filling) found.push(`Another encoder is being filled in (${status.encoder.filling}); search uses the old one until then.`);
  return found.concat(Object.entries(status.loops || {}).map(([name, why]) => `Trouble with ${name}, tried again: ${why}`));
}

/** What could not be read, with its reasons; null where there is nothing. */
export function troubles() {
  if (!status) return null;
  const bad = [...status.quarantined, ...status.failing];
  if (!bad.length) return null;
  const again = el("button", { type: "button" }, "Try them again");
  again.addEventListener("click", async () => {
    again.disabled = true;
    try {
      again.textContent = `${count((await order("POST", "/api/quarantine/retry")).files, "file")} queued`;
    } catch (error) {
      again.textContent = error.message;
    }
  });
  return el("details", { class: "troubles" },
    el("summary", {}, `${count(bad.length, "file")} could not be read`),
    status.quarantined.length ? again : null,
    el("ul", {}, bad.slice(0, 500).map((one) => el("li", {}, el("code", {}, one.path), ` ${one.reason}`))));
}
