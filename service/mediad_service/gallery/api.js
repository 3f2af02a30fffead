// Asking the daemon.

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The daemon does not answer.");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error || `The daemon answered ${answer.status}.`);
  return content;
}

export const get = (path) => ask(path);

/** Send an order: "POST" or "PUT". */
export function order(method, path, content = {}) {
  return ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(content) });
}

/** Where a path of the catalog ("previews/3f/...") is served. */
export const served = (path) => (path ? `/${path}` : null);

export const original = (file) => `/api/files/${file.id}/original`;

/** Listen to the daemon: status when it moves, generations when they are published; `lost` when it is gone. */
export function listen({ status, published, lost }) {
  const source = new EventSource("/api/events");
  source.addEventListener("progress", (event) => status(JSON.parse(event.data)));
  source.addEventListener("published", () => published());
  source.addEventListener("error", () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}
