// Entry forms: whoever types the name of a new record is offered those that are there already, by the picker beside it. One that is taken stands in
// the picker, and the fields of a new one step back until it is cleared.
const suggestFor = (input, select, place) => {
  if (!input || !select || input.dataset.suggests) return;
  input.dataset.suggests = "on";
  const list = Object.assign(document.createElement("div"), { className: "picker-list", hidden: true, id: `${input.id || input.name.replaceAll(".", "-")}-there` });
  list.setAttribute("role", "listbox");
  for (const [name, value] of Object.entries({ role: "combobox", autocomplete: "off", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list.id })) input.setAttribute(name, value);
  const holder = Object.assign(document.createElement("div"), { className: "picker suggest" });
  input.before(holder);
  holder.append(input, list);
  let active = -1, wait = 0, turn = 0;
  const rows = () => $$("[role=option]", list);
  const close = () => { clearTimeout(wait); turn++; list.hidden = true; active = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const mark = (index) => {
    const all = rows();
    active = all.length ? (index + all.length) % all.length : -1;
    all.forEach((row, at) => row.setAttribute("aria-selected", at === active));
    if (all[active]) { all[active].id ||= `${list.id}-${active}`; input.setAttribute("aria-activedescendant", all[active].id); all[active].scrollIntoView({ block: "nearest" }); }
  };
  const take = (item) => {
    let option = [...select.options].find((o) => o.value === item.value);
    if (!option) { option = new Option(item.text, item.value); select.add(option); }
    select.value = item.value;
    close();
    input.value = "";
    select.dispatchEvent(new Event("change", { bubbles: true }));
    (document.getElementById(`${select.id}-search`) || select).focus();
  };
  const offer = (items) => {
    const head = Object.assign(document.createElement("div"), { className: "none", textContent: texts.there });
    list.replaceChildren(head, ...items.map((item) => {
      const row = Object.assign(document.createElement("div"), { className: "picker-option" });
      row.setAttribute("role", "option");
      row.append(Object.assign(document.createElement("span"), { textContent: item.text }));
      if (item.note) row.append(Object.assign(document.createElement("small"), { textContent: item.note }));
      row.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
      return row;
    }));
    list.hidden = !items.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    active = -1; // nothing is taken by the way: who types a new name and presses Enter means the new one
  };
  input.addEventListener("input", () => {
    clearTimeout(wait);
    const text = input.value.trim(), mine = ++turn;
    if (!text) { close(); return; }
    if (!select.dataset.picker) { // few enough to stand on the page
      const plain = text.toLowerCase();
      offer([...select.options].filter((o) => o.value && o.text.toLowerCase().includes(plain)).slice(0, 6).map((o) => ({ value: o.value, text: o.text })));
      return;
    }
    wait = setTimeout(async () => {
      const url = new URL(select.dataset.picker, location.href);
      url.searchParams.set("q", text);
      for (const name of (select.dataset.pickerWith || "").split(" ").filter(Boolean)) {
        const control = select.form?.elements[name];
        if (control) url.searchParams.set(name, control.value);
      }
      try {
        const items = (await (await ask(url, { headers: { Accept: "application/json" } })).json()).items;
        if (mine === turn && document.activeElement === input) offer(items.slice(0, 6));
      } catch { close(); }
    }, 160);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(active < 0 && event.key === "ArrowUp" ? -1 : active + (event.key === "ArrowDown" ? 1 : -1)); }
    else if (event.key === "Enter" && active >= 0) { event.preventDefault(); rows()[active].dispatchEvent(new MouseEvent("mousedown", { cancelable: true })); }
    else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); }
  });
  const seen = () => place.toggleAttribute("data-picked", !!select.value);
  select.addEventListener("change", seen);
  seen();
};
onContent((root) => {
  each(root, "fieldset[data-names]", (part) => {
    const form = part.closest("form");
    suggestFor(form?.elements[part.dataset.names], form?.elements[part.dataset.picks], part);
  });
  each(root, ".compose-pair", (pair) => suggestFor($("input[name$='.new']", pair), $("select", pair), pair));
});
