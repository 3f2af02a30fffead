// A cluster's name, and giving it another one.

import { order } from "./api.js";
import { el } from "./dom.js";

/** The name with a button that turns it into a field; `heading` is the element's tag. */
export function renamable(head, heading = "h3") {
  const title = el(heading, {}, head.name);
  const pencil = el("button", { type: "button", class: "pencil", title: "Rename", "aria-label": `Rename ${head.name}` }, "✎");
  const box = el("div", { class: "name" }, title, pencil);
  pencil.addEventListener("click", () => edit(box, title, pencil, head));
  return box;
}

function edit(box, title, pencil, head) {
  const field = el("input", { value: head.name, maxLength: 200, "aria-label": "Name of the cluster" });
  const note = el("p", { class: "hint" }, "Enter keeps it, Escape does not, nothing at all takes the automatic name.");
  let over = false;
  const close = () => {
    if (over) return;
    over = true;
    box.replaceChildren(title, pencil);
    pencil.focus({ preventScroll: true });
  };
  const save = async () => {
    try {
      await order("PUT", `/api/clusters/${head.id}/name`, { name: field.value.trim() || null });
      const card = box.closest(".card");
      if (card) card.said = null; // it does not show any more what it was made of
      head.name = title.textContent = field.value.trim() || head.name;
      close();
    } catch (error) {
      note.textContent = error.message;
      note.className = "warn";
    }
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save();
    if (event.key === "Escape") close();
    event.stopPropagation();
  });
  field.addEventListener("blur", close);
  box.replaceChildren(field, note);
  field.focus();
  field.select();
}
