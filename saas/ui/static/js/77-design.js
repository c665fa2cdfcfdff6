// The designer's pages of views, layouts, figures and menus: rows that grow, long lists that can be searched, things dragged between
// places, a grid whose parts can be resized. Everything also works by keyboard, and what is dragged is plain inputs in a form.
const changedNow = (element) => { dirty = guarded(element) || dirty; element.dispatchEvent(new Event("change", { bubbles: true })); };
const say = (text) => { const live = $("#live"); if (live) live.textContent = text; };

// Rows that can be added and removed.
const settleRow = (row) => {
  const fn = $("[data-fn]", row), of = $("[data-of]", row);
  if (fn && of) {
    for (const option of of.options) option.hidden = option.disabled = !!option.dataset.for && !option.dataset.for.split(" ").includes(fn.value);
    of.hidden = !fn.value || (fn.value === "count" && !of.value);
    if (!of.hidden && of.selectedOptions[0]?.disabled) of.value = "";
    if (fn.value === "count" && !$("[name$='.kept']", row)) { of.value = ""; of.hidden = true; }
  }
  const by = $("[data-by]", row), bucket = $("[data-bucket]", row);
  if (by && bucket) {
    const time = by.selectedOptions[0]?.hasAttribute("data-time");
    if (time && bucket.hidden && by.dataset.asked) bucket.value = "month";
    bucket.hidden = !time;
    if (!time) bucket.value = "";
    by.dataset.asked = "1";
  }
};
onContent((root) => each(root, "[data-fill]", (box) => {
  const add = $("[data-add-fill]", box), blank = $(":scope > template", box), most = +box.dataset.most || 10;
  const rows = () => $$("[data-row]", box);
  let next = rows().length;
  const settle = () => { add.hidden = rows().length >= most; for (const button of $$("[data-drop-row]", box)) button.hidden = false; };
  if (rows().length > 1) $("[data-spare-row]", box)?.remove();
  for (const row of rows()) settleRow(row);
  settle();
  add.addEventListener("click", () => {
    add.insertAdjacentHTML("beforebegin", blank.innerHTML.replaceAll("__n__", next++));
    settleRow(add.previousElementSibling);
    settle();
    $("select", add.previousElementSibling).focus();
  });
  box.addEventListener("click", (event) => {
    const row = event.target.closest("[data-drop-row]")?.closest("[data-row]");
    if (!row) return;
    (row.closest("[data-spare-row]") || row).remove();
    settle();
    changedNow(box);
    add.focus();
  });
  box.addEventListener("change", (event) => { const row = event.target.closest("[data-row]"); if (row) settleRow(row); }, true);
}));

// A box to search a long list of rows or chips with; it sends nothing.
const searchable = (list, rows) => {
  const box = Object.assign(document.createElement("input"), { type: "search", className: "list-search", placeholder: texts.search });
  box.setAttribute("aria-label", texts.search);
  box.addEventListener("input", (event) => {
    event.stopPropagation();
    const wanted = box.value.trim().toLowerCase();
    for (const row of rows()) row.hidden = !!wanted && !row.textContent.toLowerCase().includes(wanted);
  });
  for (const name of ["change", "keydown"]) box.addEventListener(name, (event) => { event.stopPropagation(); if (event.key === "Enter") event.preventDefault(); });
  list.before(box);
};
onContent((root) => each(root, "ol.sorter", (list) => { if (list.children.length > 12) searchable(list, () => [...list.children]); }));

// Things in places: chips in zones, zones in blocks. What is sent is the order of the inputs named "item".
const titleOf = (block) => $$(":scope > .block-head input[data-title]", block).map((input) => input.value.trim()).find(Boolean) || "";
const zoneName = (zone) => {
  const names = [];
  for (let block = zone.closest("[data-block]"); block; block = block.parentElement.closest("[data-block]")) names.unshift(titleOf(block) || block.dataset.name || "…");
  return [...names, ...(zone.dataset.name ? [zone.dataset.name] : [])].join(" · ");
};
const chipName = (chip) => chip.dataset.chip;
const settleChip = (chip) => {
  const zone = chip.closest("[data-zone]");
  say(`${chipName(chip)}: ${zoneName(zone)}, ${[...zone.children].indexOf(chip) + 1}/${zone.children.length}`);
  changedNow(zone);
};
const moveChip = (chip, by) => {
  const form = chip.closest("[data-arrange]"), zone = chip.closest("[data-zone]");
  const other = by < 0 ? chip.previousElementSibling : chip.nextElementSibling;
  if (other) other[by < 0 ? "before" : "after"](chip);
  else {
    const zones = $$(`[data-zone="${zone.dataset.zone}"]`, form);
    const next = zones[zones.indexOf(zone) + by];
    if (!next) return;
    next[by < 0 ? "append" : "prepend"](chip);
  }
  settleChip(chip);
};
const moveBlock = (block, by) => {
  const list = block.parentElement, other = by < 0 ? block.previousElementSibling : block.nextElementSibling;
  if (other?.matches("[data-block]")) other[by < 0 ? "before" : "after"](block);
  else {
    const lists = $$(`[data-blocks="${list.dataset.blocks}"]`, block.closest("[data-arrange]"));
    const next = lists[lists.indexOf(list) + by];
    if (!next) return;
    next[by < 0 ? "append" : "prepend"](block);
  }
  say(`${titleOf(block) || block.dataset.name}: ${[...block.parentElement.children].indexOf(block) + 1}/${block.parentElement.children.length}`);
  changedNow(block);
};
const toPalette = (form, chip) => { $(`[data-zone="${chip.closest("[data-zone]").dataset.zone}"][data-palette]`, form).prepend(chip); };
const dropBlock = (form, block) => {
  const neighbour = block.nextElementSibling || block.previousElementSibling || block.parentElement.parentElement;
  for (const chip of $$("[data-chip]", block)) toPalette(form, chip);
  const parent = block.parentElement;
  block.remove();
  changedNow(parent);
  $(".block-grip, button", neighbour)?.focus();
};
const moveMenu = (form, button) => {
  const chip = button.closest("[data-chip]"), zone = chip.closest("[data-zone]");
  const panel = Object.assign(document.createElement("div"), { className: "menu-panel move-menu", popover: "auto" });
  const offer = (text, act, symbol) => {
    const item = Object.assign(document.createElement("button"), { type: "button", className: "menu-item" });
    item.append(icon(symbol), Object.assign(document.createElement("span"), { className: "truncate", textContent: text }));
    item.addEventListener("click", () => { panel.hidePopover(); act(); settleChip(chip); $(".grip", chip)?.focus(); });
    panel.append(item);
  };
  const said = form.dataset;
  if (chip.previousElementSibling) offer(said.earlier, () => chip.previousElementSibling.before(chip), "arrow-up");
  if (chip.nextElementSibling) offer(said.later, () => chip.nextElementSibling.after(chip), "arrow-down");
  for (const other of $$(`[data-zone="${zone.dataset.zone}"]`, form)) if (other !== zone) offer(zoneName(other), () => other.append(chip), "palette" in other.dataset ? "x" : "arrow-right");
  document.body.append(panel);
  panel.addEventListener("toggle", (event) => { if (event.newState === "closed") panel.remove(); });
  panel.showPopover();
  const box = button.getBoundingClientRect(), size = panel.getBoundingClientRect();
  panel.style.left = `${Math.max(8, Math.min(box.right - size.width, innerWidth - size.width - 8))}px`;
  panel.style.top = `${box.bottom + size.height + 8 > innerHeight ? Math.max(8, box.top - size.height - 4) : box.bottom + 4}px`;
  $("button", panel)?.focus();
};
const lively = (root) => {
  if (!window.Sortable) return;
  each(root, "[data-zone]", (zone) => window.Sortable.create(zone, {
    group: zone.dataset.zone, draggable: "[data-chip]", filter: "input, select, summary, .chip-more, .chip-move", preventOnFilter: false, animation: 120, delay: 160, delayOnTouchOnly: true,
    onEnd: (event) => { if (event.from !== event.to || event.oldIndex !== event.newIndex) settleChip(event.item); },
  }));
  each(root, "[data-blocks]", (list) => window.Sortable.create(list, {
    group: list.dataset.blocks, draggable: ":scope > [data-block]", handle: ".block-grip", animation: 120, delay: 160, delayOnTouchOnly: true,
    onEnd: (event) => { if (event.from !== event.to || event.oldIndex !== event.newIndex) changedNow(event.item); },
  }));
};
let blocksMade = 0;
onContent((root) => each(root, "[data-arrange]", (form) => {
  for (const hidden of $$("[data-with-script]", form)) hidden.hidden = false;
  lively(form);
  const palette = $("[data-palette-search]", form);
  if (palette) searchable(palette, () => $$("[data-palette] [data-chip]", form));
  form.addEventListener("keydown", (event) => {
    const grip = event.target.closest(".grip, .block-grip");
    if (!grip) return;
    const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    const chip = grip.closest("[data-chip]"), block = grip.matches(".block-grip") && grip.closest("[data-block]");
    if (!by && !(chip && ["Delete", "Backspace"].includes(event.key))) return;
    event.preventDefault();
    event.stopPropagation();
    if (block) moveBlock(block, by);
    else if (by) moveChip(chip, by);
    else { toPalette(form, chip); settleChip(chip); }
    grip.focus();
    grip.scrollIntoView({ block: "nearest" });
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-move-menu]")) moveMenu(form, button);
    else if (button.matches("[data-drop-chip]")) { const chip = button.closest("[data-chip]"); toPalette(form, chip); settleChip(chip); }
    else if (button.matches("[data-drop-block]")) { event.preventDefault(); dropBlock(form, button.closest("[data-block]")); }
    else if (button.dataset.addBlock) {
      event.preventDefault();
      const list = button.closest("[data-adds]").querySelector(`:scope > [data-blocks="${button.dataset.addBlock}s"]`);
      list.insertAdjacentHTML("beforeend", $(`template[data-new="${button.dataset.addBlock}"]`, form).innerHTML.replaceAll("__id__", `n${++blocksMade}`));
      const block = list.lastElementChild;
      lively(block);
      for (const hidden of $$("[data-with-script]", block)) hidden.hidden = false;
      changedNow(block);
      $("input[data-title]", block)?.focus();
    }
  });
  form.addEventListener("change", (event) => {
    const zone = event.target.matches("[data-zone-columns]") && $("[data-zone]", event.target.closest("[data-block]"));
    if (zone) zone.className = zone.className.replace(/cols-\d/, `cols-${event.target.value}`);
  });
}));

// The grid of a page of figures: what is dragged or resized is kept at once, one step of the draft each.
onContent((root) => each(root, "form[data-grid]", (form) => {
  const grid = $("[data-grid-items]", form), mark = form.elements._mark;
  if (!grid) return;
  let turn = Promise.resolve();
  const send = async () => {
    const sent = [...grid.children];
    const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
    if (!answer?.ok) { toast(decodeURIComponent(answer?.headers.get("X-Reason") || "") || (answer ? texts.failed : texts.offline), "error"); return; }
    mark.value = answer.headers.get("X-Mark") || mark.value;
    sent.forEach((item, number) => { // as the server counts them now
      $("[name=item]", item).value = number;
      $("[data-width]", item).name = `width.${number}`;
      if (!/^\d+$/.test(item.dataset.item)) return; // a figure of a report is addressed by its place
      item.dataset.item = number;
      for (const link of $$("[href*='/widgets/'], [formaction*='/widgets/']", item)) for (const name of ["href", "formaction"]) if (link.hasAttribute(name)) link.setAttribute(name, link.getAttribute(name).replace(/\/widgets\/\d+(?=\/|$)/, `/widgets/${number}`));
    });
    const bar = $("[data-draft-bar]"), html = (await answer.text()).trim();
    if (bar) bar.outerHTML = html; else $(".settings-main")?.insertAdjacentHTML("afterbegin", html);
  };
  const keep = () => { turn = turn.then(send); };
  const tell = (item) => { say(`${item.dataset.name}: ${[...grid.children].indexOf(item) + 1}/${grid.children.length}`); keep(); };
  const widen = (item, width) => {
    const select = $("[data-width]", item);
    const now = Math.max(1, Math.min(12, width));
    if (+select.value === now) return false;
    select.value = String(now);
    item.className = item.className.replace(/\bw-\d+/, `w-${now}`);
    dispatchEvent(new Event("resize"));
    return true;
  };
  for (const hidden of $$("[data-with-script]", form)) hidden.hidden = false;
  if (window.Sortable) window.Sortable.create(grid, { draggable: "[data-item]", handle: ".grip", animation: 120, delay: 160, delayOnTouchOnly: true, onEnd: (event) => { if (event.oldIndex !== event.newIndex) tell(event.item); } });
  form.addEventListener("change", (event) => {
    const item = event.target.closest("[data-item]");
    if (!item || !event.target.matches("[data-width]")) return;
    item.className = item.className.replace(/\bw-\d+/, `w-${event.target.value}`);
    dispatchEvent(new Event("resize"));
    tell(item);
  });
  form.addEventListener("keydown", (event) => {
    const item = event.target.closest(".grip")?.closest("[data-item]");
    const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (!item || !by) return;
    event.preventDefault();
    if (event.shiftKey) { if (widen(item, +$("[data-width]", item).value + by)) tell(item); return; }
    const other = by < 0 ? item.previousElementSibling : item.nextElementSibling;
    if (!other) return;
    other[by < 0 ? "before" : "after"](item);
    tell(item);
    $(".grip", item).focus();
  });
  form.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-resize]");
    if (!handle) return;
    event.preventDefault();
    const item = handle.closest("[data-item]"), column = (grid.clientWidth + 14) / 12, start = event.clientX, before = +$("[data-width]", item).value;
    let changed = false;
    handle.setPointerCapture(event.pointerId);
    item.classList.add("is-resizing");
    const move = (moved) => { changed = widen(item, before + Math.round((moved.clientX - start) / column)) || changed; };
    const end = () => {
      handle.removeEventListener("pointermove", move);
      item.classList.remove("is-resizing");
      if (changed && +$("[data-width]", item).value !== before) tell(item);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", end, { once: true });
  });
}));

// A form whose controls depend on some of its values is drawn again by the server when one of those changes.
document.addEventListener("change", async (event) => {
  const form = event.target.closest?.("form[data-redraw]");
  if (!form || !form.dataset.redraw.split(" ").includes(event.target.name)) return;
  event.stopPropagation();
  const name = event.target.name, body = new URLSearchParams(new FormData(form));
  body.set("_act", "redraw");
  $("#editor").inert = true;
  const answer = await ask(form.action, { method: "POST", body, headers: { "HX-Target": "editor" } }).catch(() => null);
  if (!answer?.ok) { $("#editor").inert = false; toast(answer ? texts.failed : texts.offline, "error"); return; }
  const holder = document.createElement("template");
  holder.innerHTML = (await answer.text()).trim();
  const fresh = holder.content.firstElementChild;
  $("#editor").replaceWith(fresh);
  window.htmx?.process(fresh);
  document.dispatchEvent(new Event("htmx:after:swap"));
  dirty = $("form[data-guard]", fresh) || fresh.closest("form[data-guard]");
  const again = $$(`[name="${CSS.escape(name)}"]`, fresh);
  (again.find((input) => input.checked) || again[0])?.focus();
}, true);
