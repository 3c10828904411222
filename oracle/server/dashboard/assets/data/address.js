// What a view shows is in its address, so that back, reload and a link that is shared keep it:
// #/?population=x&q=wine&sort=-quality

const at = () => {
  const [path, query = ""] = location.hash.split("?");
  return [path || "#/", new URLSearchParams(query)];
};

// Note in the address what has changed, null where it is as without a word; no entry of its own.
export function note(changes) {
  const [path, parameters] = at();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const query = String(parameters);
  const hash = query ? `${path}?${query}` : path;
  if (hash !== (location.hash || "#/")) history.replaceState(history.state, "", hash);
}

// The overview as it was left, for the ways back to it.
let left = "#/";
export const overviewAt = () => left;
export function leaveOverview(hash) {
  left = hash || "#/";
}

// How far the page was scrolled is kept with its entry, not in what is shared.
export function keepScroll() {
  let timer = 0;
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState({ ...history.state, y: Math.round(scrollY) }, ""), 200);
  }, { passive: true });
}
export const scrollKept = () => history.state?.y ?? 0;
