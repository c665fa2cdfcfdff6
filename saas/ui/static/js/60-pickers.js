// <select data-picker="/lookup/…"> becomes a search box over the server's candidates. The select stays, hidden, and is what the
// form sends, so a picker works without scripts and validation messages find their control.
onContent((root) => each(root, "select[data-picker]", (select) => {
  if (select.disabled) return;
  const many = select.multiple;
  const holder = Object.assign(document.createElement("div"), { className: "picker" });
  const input = Object.assign(document.createElement("input"), { type: "text", autocomplete: "off", spellcheck: false });
  const list = Object.assign(document.createElement("div"), { className: "picker-list", hidden: true, id: `${select.id || select.name}-list` });
  list.setAttribute("role", "listbox");
  for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list.id })) input.setAttribute(name, value);
  for (const name of ["aria-label", "aria-describedby", "aria-invalid", "aria-required", "placeholder"]) if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
  input.placeholder ||= select.dataset.placeholder || texts.search;
  const label = select.id && $(`label[for="${CSS.escape(select.id)}"]`);
  if (label) { input.id = `${select.id}-search`; label.htmlFor = input.id; }
  const tags = Object.assign(document.createElement("div"), { className: "tags" });
  const clear = Object.assign(document.createElement("button"), { type: "button", className: "button quiet small icon-only clear", tabIndex: -1 });
  clear.setAttribute("aria-label", texts.clear);
  clear.append(icon("x"));
  select.before(holder);
  holder.append(...(many ? [tags] : []), input, ...(many ? [] : [clear]), list, select);
  select.tabIndex = -1;
  select.setAttribute("aria-hidden", "true");
  select.addEventListener("change", () => draw());

  const changed = () => { select.dispatchEvent(new Event("change", { bubbles: true })); };
  const choose = (value, text) => {
    let option = [...select.options].find((o) => o.value === value);
    if (!option) { option = new Option(text, value); select.add(option); }
    if (many) option.selected = !option.selected; else select.value = value;
    close();
    if (many) input.value = "";
    changed();
  };
  const draw = () => {
    const chosen = [...select.selectedOptions].filter((o) => o.value);
    if (!many) { input.value = chosen[0]?.text ?? ""; clear.hidden = !chosen.length || select.required; return; }
    tags.replaceChildren(...chosen.map((option) => {
      const tag = Object.assign(document.createElement("span"), { className: "tag", textContent: option.text });
      const drop = Object.assign(document.createElement("button"), { type: "button" });
      drop.setAttribute("aria-label", `${texts.remove} ${option.text}`);
      drop.append(icon("x"));
      drop.addEventListener("click", () => { option.selected = false; changed(); });
      tag.append(drop);
      return tag;
    }));
  };

  let active = -1, wait = 0, turn = 0;
  const options = () => $$("[role=option]", list);
  const mark = (index) => {
    const all = options();
    active = all.length ? (index + all.length) % all.length : -1;
    all.forEach((o, i) => o.setAttribute("aria-selected", i === active));
    if (all[active]) { all[active].id ||= `${list.id}-${active}`; input.setAttribute("aria-activedescendant", all[active].id); all[active].scrollIntoView({ block: "nearest" }); }
  };
  const close = () => { clearTimeout(wait); turn++; list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const offer = (items) => {
    list.replaceChildren(...items.map((item) => {
      const row = Object.assign(document.createElement("div"), { className: "picker-option" });
      row.setAttribute("role", "option");
      row.append(Object.assign(document.createElement("span"), { textContent: item.text }));
      if (item.note) row.append(Object.assign(document.createElement("small"), { textContent: item.note }));
      row.addEventListener("mousedown", (event) => { event.preventDefault(); choose(item.value, item.text); });
      return row;
    }));
    if (!items.length) list.append(Object.assign(document.createElement("div"), { className: "none", textContent: texts.nothing }));
    list.hidden = false;
    list.toggleAttribute("data-up", holder.getBoundingClientRect().bottom + 280 > innerHeight && holder.getBoundingClientRect().top > 300);
    input.setAttribute("aria-expanded", "true");
    mark(items.length ? 0 : -1);
  };
  const look = (text) => {
    clearTimeout(wait);
    const mine = ++turn;
    wait = setTimeout(async () => {
      const url = new URL(select.dataset.picker, location.href);
      url.searchParams.set("q", text);
      for (const name of (select.dataset.pickerWith || "").split(" ").filter(Boolean)) {
        const control = select.form?.elements[name];
        if (control) url.searchParams.set(name, control.value);
      }
      try {
        const answer = await ask(url, { headers: { Accept: "application/json" } });
        const items = (await answer.json()).items;
        if (mine === turn && document.activeElement === input) offer(items);
      } catch { close(); }
    }, text ? 140 : 0);
  };
  input.addEventListener("focus", () => input.select());
  input.addEventListener("click", () => { if (list.hidden) look(""); });
  input.addEventListener("input", () => look(input.value.trim()));
  input.addEventListener("blur", () => { turn++; close(); if (!many && !input.value.trim() && select.value && !select.required) { select.value = ""; changed(); } else draw(); if (many) input.value = ""; });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); if (list.hidden) look(input.value.trim()); else mark(active + (event.key === "ArrowDown" ? 1 : -1)); }
    else if (event.key === "Enter" && !list.hidden) { event.preventDefault(); options()[active]?.dispatchEvent(new MouseEvent("mousedown")); }
    else if (event.key === "Escape" && !list.hidden) { event.preventDefault(); event.stopPropagation(); close(); draw(); }
    else if (event.key === "Backspace" && many && !input.value) { const last = [...select.selectedOptions].pop(); if (last) { last.selected = false; changed(); } }
  });
  clear.addEventListener("click", () => { select.value = ""; if (select.value) select.append(new Option("", "")); select.value = ""; changed(); input.focus(); });
  select.addEventListener("invalid", (event) => { event.preventDefault(); input.focus(); });
  draw();
}));

// "New …" beside a picker: create the linked record in a dialog; the half-filled form stays as it is.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-create-for]");
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  const select = document.getElementById(link.dataset.createFor);
  const url = new URL(link.href);
  for (const control of $$("select[name]", select?.form)) if (control.value && !control.multiple) url.searchParams.set(`source.${control.name}`, control.value);
  if (link.closest("#dialog")) { open(url, "_blank"); return; }
  openDialog(url.href, { origin: link, onDone: (made) => {
    const select = document.getElementById(link.dataset.createFor); // the form may have been drawn again meanwhile
    if (!made || !select) return;
    const option = [...select.options].find((o) => o.value === made.value) || select.appendChild(new Option(made.text, made.value));
    option.selected = true;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  } });
}, true);
