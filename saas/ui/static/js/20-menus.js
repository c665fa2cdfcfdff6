// <details class="menu">: one open at a time, closed by Escape, a click elsewhere or a choice; arrows move inside.
document.addEventListener("click", (event) => {
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.("details.menu") || !menu.open) return;
  for (const other of $$("details.menu[open]")) if (other !== menu && !other.contains(menu)) other.open = false;
  const panel = $(".menu-panel", menu);
  const box = panel?.getBoundingClientRect();
  if (box && box.left < 4) panel.classList.add("start");
  if (box && box.right > innerWidth - 4) panel.classList.remove("start");
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
