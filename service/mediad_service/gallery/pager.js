// Long lists a screenful at a time: the next part is fetched when the end of the list comes near.

import { el } from "./dom.js";

const PART = 100;

/** A grid that shows what `fetchPart(offset, limit)` gives as cards, until that is less than it was asked for. */
export function pagedGrid(fetchPart, makeCard, empty = "Nothing here.") {
  const grid = el("div", { class: "grid" });
  const end = el("p", { class: "end", role: "status" }, "…");
  const box = el("div", {}, grid, end);
  let offset = 0;
  let busy = false;
  const more = async () => {
    if (busy) return;
    busy = true;
    try {
      const part = await fetchPart(offset, PART);
      grid.append(...part.map(makeCard));
      offset += PART;
      end.textContent = "";
      if (part.length < PART) {
        watch.disconnect();
        if (!grid.childElementCount) end.textContent = empty;
      } else {
        watch.unobserve(end); // observing anew tells at once where the end is now
        watch.observe(end);
      }
    } catch (error) {
      end.replaceChildren(error.message, " ", el("button", { type: "button", onclick: more }, "Try again"));
    } finally {
      busy = false;
    }
  };
  const watch = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) more();
  }, { rootMargin: "800px" });
  watch.observe(end);
  return box;
}

/** The same of what is here already. */
export function localGrid(entries, makeCard, empty) {
  return pagedGrid(async (offset, limit) => entries.slice(offset, offset + limit), makeCard, empty);
}
