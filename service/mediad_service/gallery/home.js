// The start: clusters, sequences, videos, the rest, and what went wrong.

import { get } from "./api.js";
import { clusterCard, fileCard, sequenceCard, videoCard } from "./cards.js";
import { count, el } from "./dom.js";
import { known, status, troubles } from "./live.js";

const FEW = 12; // of what stands below the clusters
const STEP = 60; // clusters at a time

/** The start page; its `refresh` brings it up to date without disturbing what stays. */
export function home() {
  const parts = {
    hello: el("div"), clusters: section("Clusters"), sequences: section("Sequences"),
    videos: section("Videos"), unclustered: section("In no cluster"), troubles: el("div"),
  };
  const page = el("div", { class: "home" }, Object.values(parts));
  let shown = STEP;
  let clusters = [];
  const end = el("p", { class: "end" });
  const showClusters = () => {
    keep(parts.clusters, clusters.slice(0, shown), (head) => head.id, clusterCard);
    watch.unobserve(end); // observing anew tells at once where the end is now
    watch.observe(end);
  };
  const watch = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && shown < clusters.length) {
      shown += STEP;
      showClusters();
    }
  }, { rootMargin: "800px" });
  parts.clusters.append(end);

  page.refresh = async () => {
    await known(); // cards name folders by their volumes
    const overview = await get("/api/overview");
    const { totals } = overview;
    const [videos, rest] = await Promise.all([some("videos", totals.videos), some("unclustered", totals.unclustered)]);
    clusters = overview.clusters.sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
    parts.hello.replaceChildren(...hello(overview));
    title(parts.clusters, clusters.length);
    showClusters();
    title(parts.sequences, overview.sequences.length, overview.sequences.length > FEW && "#sequences");
    keep(parts.sequences, overview.sequences.slice(0, FEW), (head) => head.id, sequenceCard);
    title(parts.videos, totals.videos, totals.videos > FEW && "#videos");
    keep(parts.videos, videos, (video) => video.id, videoCard);
    title(parts.unclustered, totals.unclustered, totals.unclustered > FEW && "#unclustered");
    keep(parts.unclustered, rest, (file) => file.id, (file) => fileCard(file));
    const open = parts.troubles.querySelector("details")?.open;
    parts.troubles.replaceChildren(...[troubles()].filter(Boolean));
    if (open && parts.troubles.firstChild) parts.troubles.firstChild.open = true;
  };
  return page;
}

const some = (name, total) => (total ? get(`/api/${name}?limit=${FEW}`) : []);

function section(name) {
  return el("section", { hidden: true }, el("h2", {}, el("span", {}, name), el("small")), el("div", { class: "grid" }));
}

/** Show a section with how many there are, and a link to all of them; hide it where there are none. */
function title(part, total, all = null) {
  part.hidden = !total;
  part.querySelector("small").replaceChildren(String(total), all ? el("a", { href: all }, "show all") : "");
}

/** Bring the cards of a section in line with `entries`; cards whose entry is the same stay, also one that is being renamed. */
function keep(part, entries, key, makeCard) {
  const grid = part.querySelector(".grid");
  const there = new Map([...grid.children].map((card) => [card.dataset.key, card]));
  entries.forEach((entry, at) => {
    const text = JSON.stringify(entry);
    let card = there.get(key(entry));
    if (!card || (card.said !== text && !card.querySelector("input"))) {
      const fresh = makeCard(entry);
      fresh.dataset.key = key(entry);
      fresh.said = text;
      const used = card?.contains(document.activeElement) ? document.activeElement.className : null;
      card?.replaceWith(fresh);
      if (used !== null) fresh.querySelector(`.${used}`)?.focus({ preventScroll: true });
      card = fresh;
    }
    there.delete(key(entry));
    if (grid.children[at] !== card) grid.insertBefore(card, grid.children[at] || null);
  });
  there.forEach((card) => card.remove());
}

/** What there is in all, or what to do where there is nothing. */
function hello({ clusters, totals }) {
  if (!status) return [];
  if (!status.volumes.length) return [empty("Nothing is watched yet", "Name a folder with ", code("mediad volumes add DIRECTORY"), ", and its images and videos appear here.")];
  const busy = status.state !== "idle" || status.pending;
  if (!totals.files) {
    return busy ? [empty("Looking through your folders", "What is found appears here as soon as it is read.")]
      : [empty("No images or videos yet", "There are none in ", ...watched(), ". What you put there appears here by itself.")];
  }
  const facts = [count(status.assets.images, "image"), count(status.assets.videos, "video")];
  if (totals.duplicates) facts.push(count(totals.duplicates, "file") + (totals.duplicates === 1 ? " that has" : " that have") + " exact copies");
  if (status.quarantined.length) facts.push(`${status.quarantined.length} that could not be read`);
  const line = el("p", { class: "facts" }, facts.join(" · "));
  if (clusters.length) return [line];
  return [line, el("p", { class: "facts" }, busy ? "Clusters form once everything is read." : "No pictures are alike enough to form clusters; with more of them there will be some.")];
}

/** The volumes that are there, as a list in a sentence. */
const watched = () => status.volumes.filter((volume) => volume.state === "online")
  .flatMap((volume, at) => [at ? " or " : "", code(volume.path)]);

const code = (text) => el("code", {}, text);
const empty = (title, ...text) => el("div", { class: "empty" }, el("h2", {}, title), el("p", {}, text));
