// The keyboard map (also shown by "?"). Single keys do nothing while typing and can be switched off on the profile page.
const clickOn = (selector) => { const target = $(selector); if (target) { target.click(); return true; } return false; };
let going = 0;
document.addEventListener("keydown", (event) => {
  const palette = $("#palette");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { if (palette && !event.target.closest?.("trix-editor")) { event.preventDefault(); openPalette(); } return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.body.dataset.keys === "off" || $("dialog[open]")) return;
  if (going && Date.now() - going < 1200) {
    going = 0;
    const item = $$(".side-nav .nav-item[data-go]").find((link) => link.dataset.go === event.key.toLowerCase());
    if (item) { event.preventDefault(); item.click(); return; }
  }
  const acts = {
    "/": () => { const box = $('[data-list-search]') ; if (box) box.focus(); else openPalette(); },
    "?": () => $("#shortcuts")?.showModal(),
    c: () => clickOn("[data-key=c]") || openPalette(">"), e: () => clickOn("[data-key=e]"),
    j: () => moveRow(1), k: () => moveRow(-1), ArrowDown: () => ($("[data-list]") ? moveRow(1) : false), ArrowUp: () => ($("[data-list]") ? moveRow(-1) : false),
    o: () => openRow(currentRow()), x: () => $('input[name="ids"]', currentRow() || undefined)?.click(),
    n: () => clickOn("[data-key=n]"), p: () => clickOn("[data-key=p]"), g: () => { going = Date.now(); },
    Escape: () => { if ($("[data-bulkbar]:not([hidden])")) return clickOn("[data-clear-selection]"); return clickOn("[data-key=escape]"); },
  };
  if (!acts[event.key] || (event.key === "x" && !currentRow())) return;
  if (acts[event.key]() !== false) event.preventDefault();
});

// Long menus stand where the page is that they led to.
onContent((root) => each(root, ".nav-item[aria-current]", (item) => item.scrollIntoView({ block: "nearest" })));
