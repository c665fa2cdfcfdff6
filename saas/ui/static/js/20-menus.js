// <details class="menu">: one open at a time, closed by Escape, a click elsewhere or a choice; arrows move inside.
document.addEventListener("click", (event) => {
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
// A panel that would reach out of the window is moved into it.
function placeMenu(menu) {
  const panel = $(".menu-panel", menu);
  if (!panel) return;
  panel.style.translate = "";
  const box = panel.getBoundingClientRect();
  panel.style.translate = `${box.left < 4 ? 8 - box.left : Math.min(0, innerWidth - 8 - box.right)}px`;
}
// One that the page comes with open has been opened before anybody listens.
onContent((root) => each(root, "details.menu[open]", placeMenu));
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.("details.menu") || !menu.open) return;
  for (const other of $$("details.menu[open]")) if (other !== menu && !other.contains(menu)) other.open = false;
  placeMenu(menu);
  $("[autofocus]", menu)?.focus();
}, true);
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") { menu.open = false; $("summary", menu).focus(); event.stopPropagation(); return; }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const items = $$(".menu-panel a, .menu-panel button, .menu-panel label, .menu-panel input", menu).filter((item) => item.tabIndex >= 0 && item.offsetParent);
  if (!items.length || typing(event.target)) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement);
  items[(at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length].focus();
});
