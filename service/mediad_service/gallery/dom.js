// Making elements, and words for numbers.

/** An element; `props` are properties, `class`, `data-*`, `aria-*` and `role` attributes, `on*` listeners. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class" || name === "role" || name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const numbers = new Intl.NumberFormat();

/** 1234, "file" -> "1,234 files" */
export function count(number, word) {
  return `${numbers.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

export function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${size >= 100 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

export function seconds(length) {
  const whole = Math.round(length);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

/** Seconds that something still takes, roughly, as people say it. */
export function roughly(left) {
  if (left < 90) return `${Math.max(1, Math.round(left))} s`;
  return left < 5400 ? `${Math.round(left / 60)} min` : `${Math.round(left / 3600)} h`;
}

export function when(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
