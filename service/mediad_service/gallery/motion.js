// Videos and sequences stand still until they are looked at: hovered, focused or tapped.

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** Have `picture` (an img) play the GIF at `moving` while `card` is looked at. */
export function moves(card, picture, moving) {
  const still = picture.getAttribute("src");
  let wanted = false;
  const play = () => {
    if (wanted) return;
    wanted = true;
    card.classList.add("waiting");
    const ahead = new Image();
    ahead.onload = () => {
      card.classList.remove("waiting");
      if (!wanted) return;
      picture.src = moving;
      card.classList.add("playing");
    };
    ahead.onerror = () => card.classList.remove("waiting");
    ahead.src = moving;
  };
  const stop = () => {
    wanted = false;
    picture.src = still;
    card.classList.remove("playing", "waiting");
  };
  card.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse" && !reduced.matches) play();
  });
  card.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !card.contains(document.activeElement)) stop();
  });
  card.addEventListener("focusin", play);
  card.addEventListener("focusout", stop);
  let touched = false;
  card.addEventListener("pointerdown", (event) => { touched = event.pointerType === "touch" && !wanted; });
  card.addEventListener("click", (event) => {
    if (!touched) return; // the first tap plays, the second opens
    touched = false;
    event.preventDefault();
    event.stopImmediatePropagation();
    play();
  }, { capture: true });
}
