// One card for each kind of thing.

import { original, served } from "./api.js";
import { count, el, seconds } from "./dom.js";
import { moves } from "./motion.js";
import { renamable } from "./rename.js";
import { shortFolder } from "./live.js";
import { view } from "./viewer.js";

function picture(preview, alt) {
  if (!preview) return el("span", { class: "blank" }, alt);
  const image = el("img", { loading: "lazy", decoding: "async", alt });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "blank" }, alt)));
  image.src = preview;
  return image;
}

function card(kind, face, moving, badges, caption) {
  const node = el("article", { class: `card ${kind}` }, face, caption);
  face.append(el("span", { class: "badges" }, badges.filter(Boolean).map((badge) => el("span", {}, badge))));
  const image = face.querySelector("img");
  if (moving && image) {
    node.classList.add("moves");
    moves(node, image, moving);
  }
  return node;
}

function groupCard(kind, head, badges, caption) {
  const alt = `${head.name}, ${count(head.count, "file")}`;
  const face = el("a", { class: "face", href: `#${kind}/${head.id}`, "aria-label": alt });
  face.append(picture(served(head.preview) || served(head.preview_gif), alt));
  return card(kind, face, served(head.preview_gif), badges, caption);
}

export function clusterCard(head) {
  const inside = head.sequences.length ? count(head.sequences.length, "sequence") : null;
  const tags = head.tags.filter((tag) => tag.toLowerCase() !== head.name.toLowerCase()).slice(0, 4);
  return groupCard("cluster", head, [head.count || null, head.preview_gif && "▶"], el("div", { class: "caption" },
    renamable(head),
    el("p", { class: "folder", title: head.directory }, shortFolder(head.directory),
      head.folders > 1 ? ` and ${head.folders - 1} more` : null, inside ? ` · ${inside}` : null),
    tags.length ? el("p", { class: "tags" }, tags.map((tag) => el("span", {}, tag))) : null));
}

export function sequenceCard(head) {
  const gaps = head.missing.length ? `${count(head.missing.length, "frame")} missing` : null;
  const range = head.first === null ? null : `${head.first} to ${head.last}`;
  return groupCard("sequence", head, [head.count, head.preview_gif && "▶"], el("div", { class: "caption" },
    el("h3", { title: head.pattern }, head.name),
    el("p", { class: "folder", title: head.directory }, [range, shortFolder(head.directory)].filter(Boolean).join(" · ")),
    gaps ? el("p", { class: "warn" }, gaps) : null));
}

/** A file; `extra` is said before its folder. */
export function fileCard(file, extra = null, moving = null) {
  const alt = file.filename;
  const face = el("a", { class: "face", href: original(file), "aria-label": alt }, picture(served(file.preview), alt));
  const video = file.kind === "video";
  const node = card("file", face, video ? moving || `/api/files/${file.id}/animation` : null,
    [video && "▶", file.state === "offline" && "offline"],
    el("div", { class: "caption" },
      el("h3", { title: file.filepath }, file.filename),
      el("p", { class: "folder", title: file.filepath },
        [extra, shortFolder(file.filepath.slice(0, -file.filename.length - 1))].filter(Boolean).join(" · "))));
  node.file = file;
  face.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view(node);
  });
  return node;
}

export function videoCard(video) {
  const length = video.duration === null ? null : seconds(video.duration);
  return fileCard(video.metadata, length, served(video.preview_gif));
}

