// Ctrl/Cmd K: places and acts come from the page's own navigation, records from the server's search.
const openPalette = (typed = "") => {
  const box = $("#palette");
  if (!box || box.open) return;
  box.showModal();
  $("input", box).value = typed;
  fillPalette(typed);
  $("input", box).focus();
};
const normal = (text) => text.toLowerCase().trim();
let paletteTurn = 0, paletteWait = 0, paletteAt = 0;
const paletteItems = () => $$("#palette [role=option]");
const markPalette = (index) => {
  const all = paletteItems();
  if (!all.length) return;
  paletteAt = (index + all.length) % all.length;
  all.forEach((item, i) => item.setAttribute("aria-selected", i === paletteAt));
  all[paletteAt].scrollIntoView({ block: "nearest" });
  $("#palette input").setAttribute("aria-activedescendant", all[paletteAt].id);
};
const paletteRow = ({ href, text, note, symbol }) => {
  const row = Object.assign(document.createElement("a"), { href, className: "menu-item", tabIndex: -1 });
  row.setAttribute("role", "option");
  row.append(icon(symbol || "arrow-right"), Object.assign(document.createElement("span"), { className: "truncate", textContent: text }));
  if (note) row.append(Object.assign(document.createElement("span"), { className: "push faint small nowrap", textContent: note }));
  return row;
};
const fillPalette = (raw) => {
  const list = $("#palette .palette-list");
  const acts = raw.startsWith(">") || raw.startsWith("/");
  const text = normal(raw.replace(/^[>/@#]/, ""));
  const places = $$("[data-palette]").map((link) => ({ href: link.href, text: link.dataset.palette || link.textContent.trim(), symbol: link.dataset.icon, note: link.dataset.note }))
    .filter((item) => !text || normal(item.text).includes(text)).slice(0, text ? 7 : 30);
  list.replaceChildren(...places.map(paletteRow));
  number();
  const mine = ++paletteTurn;
  clearTimeout(paletteWait);
  if (!text || acts) return;
  paletteWait = setTimeout(async () => {
    try {
      const answer = await ask(`/search?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
      const found = (await answer.json()).items;
      if (mine !== paletteTurn) return;
      list.prepend(...found.map((item) => paletteRow({ href: item.url, text: item.text, note: item.note, symbol: item.icon })));
      number();
    } catch { /* the places stay */ }
  }, 120);
};
const number = () => { paletteItems().forEach((item, i) => { item.id = `palette-${i}`; }); markPalette(0); };
document.addEventListener("input", (event) => { if (event.target.matches("#palette input")) fillPalette(event.target.value); });
document.addEventListener("keydown", (event) => {
  if (!event.target.closest?.("#palette")) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); markPalette(paletteAt + (event.key === "ArrowDown" ? 1 : -1)); }
  if (event.key === "Enter") { event.preventDefault(); const item = paletteItems()[paletteAt]; if (item) item.click(); }
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-open-palette]")) { event.preventDefault(); $("#side:popover-open")?.hidePopover(); openPalette(); }
  if (event.target.closest?.("[data-open-shortcuts]")) { event.preventDefault(); $("#shortcuts")?.showModal(); }
});
