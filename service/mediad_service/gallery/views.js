// Everything but the start: one group, all of a kind, search results.

import { get } from "./api.js";
import { fileCard, sequenceCard, videoCard } from "./cards.js";
import { count, el } from "./dom.js";
import { shortFolder } from "./live.js";
import { localGrid, pagedGrid } from "./pager.js";
import { renamable } from "./rename.js";

const back = () => el("a", { class: "back", href: "#" }, "← All");

async function head(kind, id) {
  const found = (await get("/api/overview"))[`${kind}s`].find((one) => one.id === id);
  if (!found) throw new Error(`There is no such ${kind} any more.`);
  return found;
}

const files = (kind, id) => pagedGrid(
  async (offset, limit) => (await get(`/api/${kind}s/${id}/files?offset=${offset}&limit=${limit}`)).files,
  (file) => fileCard(file));

export async function cluster(id) {
  const one = await head("cluster", id);
  const inside = one.sequences.length ? (await get("/api/overview")).sequences.filter((each) => one.sequences.includes(each.id)) : [];
  return el("div", {}, back(), el("header", { class: "group" }, renamable(one, "h1"),
    el("p", { class: "folder" }, `${count(one.count, "file")} · ${shortFolder(one.directory)}`, one.folders > 1 ? ` and ${count(one.folders - 1, "other folder")}` : ""),
    one.tags.length ? el("p", { class: "tags" }, one.tags.map((tag) => el("span", {}, tag))) : null),
    inside.length ? localGrid(inside, sequenceCard) : null,
    one.count ? files("cluster", id) : null);
}

export async function sequence(id) {
  const one = await head("sequence", id);
  const missing = one.missing.length ? `missing: ${one.missing.slice(0, 40).join(", ")}${one.missing.length > 40 ? " …" : ""}` : null;
  return el("div", {}, back(), el("header", { class: "group" }, el("h1", {}, one.name),
    el("p", { class: "folder" }, [count(one.count, "frame"), one.pattern, shortFolder(one.directory)].filter(Boolean).join(" · ")),
    missing ? el("p", { class: "warn" }, missing) : null),
    files("sequence", id));
}

export async function sequences() {
  const all = (await get("/api/overview")).sequences;
  return el("div", {}, back(), el("h1", {}, "Sequences"), localGrid(all, sequenceCard));
}

const flat = (name, title, makeCard) => async () => el("div", {}, back(), el("h1", {}, title),
  pagedGrid((offset, limit) => get(`/api/${name}?offset=${offset}&limit=${limit}`), makeCard));

export const videos = flat("videos", "Videos", videoCard);
export const unclustered = flat("unclustered", "In no cluster", (file) => fileCard(file));

const results = (found, empty) => localGrid(found, ({ score, file }) => fileCard(file, `likeness ${score.toFixed(2)}`), empty);

export async function search(text) {
  const found = await get(`/api/search?count=100&text=${encodeURIComponent(text)}`);
  return el("div", {}, back(), el("h1", {}, `“${text}”`), results(found, "Nothing to search in yet."));
}

export async function similar(id) {
  const [file, found] = await Promise.all([get(`/api/files/${id}`), get(`/api/similar?count=100&what=${id}`)]);
  return el("div", {}, back(), el("h1", {}, `Like ${file.filename}`), results([{ score: 1, file }, ...found]));
}
