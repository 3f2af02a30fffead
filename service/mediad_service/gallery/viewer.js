// One picture or video, large, with what is known about it.

import { original, served } from "./api.js";
import { bytes, el, when } from "./dom.js";
import { status } from "./live.js";

const SHOWN = /\.(jpe?g|png|gif|webp|avif|bmp)$/i;
const dialog = document.getElementById("viewer");
let current = null;

/** Show the file of a card; arrows go to the cards beside it. */
export function view(card) {
  current = card;
  dialog.replaceChildren(content(card.file));
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  let next = current;
  do next = by > 0 ? next.nextElementSibling : next.previousElementSibling; while (next && !next.file);
  if (next) { view(next); next.scrollIntoView({ block: "nearest" }); }
}

function content(file) {
  const volume = status?.volumes.find((one) => one.id === file.volume);
  const facts = {
    Folder: file.filepath.slice(0, -file.filename.length - 1) || "/",
    Taken: file.captured && file.captured.replace("T", " "),
    Camera: file.camera,
    Lens: file.lens,
    Size: [file.width ? `${file.width} × ${file.height}` : null, bytes(file.filesize)].filter(Boolean).join(", "),
    Changed: when(file.modified),
    Rating: file.rating > 0 ? "★".repeat(file.rating) : file.rating && "rejected",
    Keywords: file.keywords?.join(", "),
    Place: file.gps && `${file.gps.latitude.toFixed(5)}, ${file.gps.longitude.toFixed(5)}`,
    Volume: volume && (file.state === "offline" ? `${volume.name}, offline now` : volume.name),
  };
  return el("div", { class: "viewer" }, picture(file),
    el("aside", {},
      el("h2", {}, file.filename),
      el("dl", {}, Object.entries(facts).filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("p", { class: "links" },
        el("a", { href: `#similar/${file.id}`, onclick: () => dialog.close() }, "More like this"),
        el("a", { href: original(file), target: "_blank", rel: "noopener" }, "The file itself")),
      el("button", { type: "button", class: "close", autofocus: true, "aria-label": "Close", onclick: () => dialog.close() }, "×")));
}

function picture(file) {
  const away = file.state === "offline";
  if (file.kind === "video" && !away) {
    const player = el("video", { controls: true, autoplay: true, loop: true, muted: true, src: original(file), poster: served(file.preview) || "" });
    player.addEventListener("error", () => player.replaceWith(still(`/api/files/${file.id}/animation`, file)), { once: true });
    return player;
  }
  const shown = still(served(file.preview), file);
  if (!away && SHOWN.test(file.filename)) {
    const full = new Image();
    full.onload = () => { shown.src = full.src; };
    full.src = original(file);
  }
  return shown;
}

function still(src, file) {
  return el("img", { alt: file.filename, src: src || "", width: file.width || null, height: file.height || null });
}

dialog.addEventListener("keydown", (event) => {
  if (event.target.tagName === "VIDEO") return;
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => {
  dialog.replaceChildren();
  current?.querySelector("a")?.focus({ preventScroll: true });
});
