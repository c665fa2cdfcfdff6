// The designer: rows that can be ordered, conditions that grow, formulas checked while typing, controls that depend on others.
const keyMoves = { ArrowUp: -1, ArrowDown: 1 };
const shiftRow = (row, by) => {
  const other = by < 0 ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  other[by < 0 ? "before" : "after"](row);
  row.dispatchEvent(new Event("change", { bubbles: true }));
};
onContent((root) => each(root, "[data-sorter]", (list) => {
  if (window.Sortable) window.Sortable.create(list, { handle: ".grip", animation: 120, ghostClass: "sortable-ghost", group: list.dataset.group || undefined, draggable: list.dataset.draggable || ">*", onEnd: () => list.dispatchEvent(new Event("change", { bubbles: true })) });
  list.addEventListener("keydown", (event) => {
    const grip = event.target.closest?.(".grip");
    if (!grip || !(event.key in keyMoves)) return;
    event.preventDefault();
    let row = grip;
    while (row.parentElement !== list) row = row.parentElement;
    shiftRow(row, keyMoves[event.key]);
    grip.focus();
  });
  if (list.dataset.post) list.addEventListener("change", () => {
    const body = new URLSearchParams({ _csrf: csrf() });
    for (const row of list.children) if (row.dataset.key) body.append("key", row.dataset.key);
    ask(list.dataset.post, { method: "POST", body }).then((answer) => { if (!answer.ok) toast(texts.failed, "error"); else if (answer.headers.get("HX-Redirect")) location.assign(answer.headers.get("HX-Redirect")); }).catch(() => toast(texts.offline, "error"));
  });
}));

// Controls that only make sense with certain values of others.
const shownBy = (form) => {
  for (const slot of $$("[data-show-if]", form)) {
    const wanted = JSON.parse(slot.dataset.showIf);
    const shown = Object.entries(wanted).every(([name, values]) => {
      const inputs = $$(`[name="${name}"]`, form).filter((input) => !["radio", "checkbox"].includes(input.type) || input.checked);
      const value = inputs.filter((input) => input.type !== "hidden").pop()?.value ?? inputs.pop()?.value ?? "";
      return values.includes(value);
    });
    slot.hidden = !shown;
    for (const input of $$("input, select, textarea", slot)) input.disabled = !shown;
  }
};
onContent((root) => { for (const form of new Set($$("[data-show-if]", root).map((slot) => slot.closest("form")))) if (form) shownBy(form); });
document.addEventListener("change", (event) => { const form = event.target.closest?.("form"); if (form && $("[data-show-if]", form)) shownBy(form); });

// Conditions.
const fetchRow = async (box, field, number) => {
  const url = `${$("[data-add-row]", box).dataset.url}&number=${number}&field=${encodeURIComponent(field)}`;
  const answer = await ask(url);
  if (!answer.ok) return null;
  const holder = document.createElement("template");
  holder.innerHTML = (await answer.text()).trim();
  const row = holder.content.firstElementChild;
  for (const button of $$("[data-remove-row]", row)) button.hidden = false;
  return row;
};
onContent((root) => each(root, "[data-condition]", (box) => {
  const add = $("[data-add-row]", box);
  if (!add) return;
  add.hidden = false;
  for (const button of $$("[data-remove-row]", box)) button.hidden = false;
  if ($$("[data-condition-row]", box).length > 1) $("[data-spare]", box)?.remove();
  box.addEventListener("change", async (event) => {
    if (event.target.name?.endsWith(".mode")) {
      for (const part of $$("[data-mode]", box)) part.hidden = part.dataset.mode !== event.target.value;
      for (const label of $$(".condition-mode label", box)) label.toggleAttribute("aria-current", $("input", label).checked);
    } else if (event.target.matches("[data-row-field]") && event.target.value) {
      const row = event.target.closest("[data-condition-row]");
      const fresh = await fetchRow(box, event.target.value, row.dataset.number);
      if (fresh) { row.replaceWith(fresh); announceContent(fresh); $("[data-row-op]", fresh)?.focus(); }
    } else if (event.target.matches("[data-row-op]")) {
      const row = event.target.closest("[data-condition-row]");
      const value = $(".condition-value", row);
      const list = $("select[data-many-size]", row);
      value.hidden = ["is_empty", "not_empty"].includes(event.target.value);
      if (list) { list.multiple = ["in", "not_in"].includes(event.target.value); list.size = list.multiple ? list.dataset.manySize : 1; }
    }
  });
  box.addEventListener("click", async (event) => {
    if (event.target.closest("[data-remove-row]")) { const row = event.target.closest("[data-condition-row]"); row.dispatchEvent(new Event("change", { bubbles: true })); (row.closest("[data-spare]") || row).remove(); }
    if (event.target.closest("[data-add-row]")) {
      const numbers = $$("[data-condition-row]", box).map((row) => +row.dataset.number);
      const fresh = await fetchRow(box, "", Math.max(-1, ...numbers) + 1);
      if (fresh) { add.before(fresh); announceContent(fresh); $("select", fresh).focus(); }
    }
  });
}));

// Formulas.
onContent((root) => each(root, "[data-expression]", (box) => {
  const area = $("textarea", box), verdict = $(".expression-verdict", box);
  let timer = 0, asked = 0;
  const check = async () => {
    const number = ++asked;
    const answer = await ask(box.dataset.check, { method: "POST", body: new URLSearchParams({ _csrf: csrf(), text: area.value }) }).catch(() => null);
    if (answer?.ok && number === asked) verdict.innerHTML = await answer.text();
  };
  area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 350); });
  if (area.value.trim() && area.offsetParent) check();
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    area.setRangeText(button.dataset.insert, area.selectionStart, area.selectionEnd, "end");
    button.closest("details").removeAttribute("open");
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
}));

// Colours are judged while they are chosen.
onContent((root) => each(root, "[data-contrast]", (box) => box.addEventListener("input", async () => {
  const colours = new URLSearchParams($$("input", box).map((input) => [input.name, input.value]));
  const answer = await ask(`${box.dataset.contrast}?${colours}`).catch(() => null);
  if (answer?.ok) $("#contrast").outerHTML = await answer.text();
})));
