// Shared by the files below, which are served as one script, each inside its own block. No eval, no inline handlers.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const texts = JSON.parse($("#ui-texts")?.textContent || "{}");
const csrf = () => $('meta[name="csrf"]')?.content || "";
const typing = (target) => target instanceof Element && target.matches("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable=''], [contenteditable=true], trix-editor");

const setups = [];
/** Run `setup(root)` now and for every part htmx or a dialog puts into the page. It must bear being run twice. */
const onContent = (setup) => { setups.push(setup); };
const announceContent = (root) => { for (const setup of setups) setup(root); };
document.addEventListener("DOMContentLoaded", () => announceContent(document));
document.addEventListener("htmx:after:swap", () => announceContent(document));

/** Once per element: `each(root, selector, fn)`. */
const each = (root, selector, fn) => {
  const key = "ready" + selector.replace(/\W+/g, "");
  for (const element of [...(root.matches?.(selector) ? [root] : []), ...$$(selector, root)]) {
    if (element.dataset[key]) continue;
    element.dataset[key] = "1";
    fn(element);
  }
};

/** A request for a fragment of our own pages. */
const ask = (url, options = {}) =>
  fetch(url, { ...options, credentials: "same-origin", headers: { "HX-Request": "true", "HX-Request-Type": "partial", "X-CSRF-Token": csrf(), Accept: "text/html", ...options.headers } });

const icon = (name) => {
  const holder = document.createElement("template");
  holder.innerHTML = `<svg class="icon" aria-hidden="true"><use href="${$('meta[name="icons"]')?.content}#${name}"></use></svg>`;
  return holder.content.firstChild;
};
