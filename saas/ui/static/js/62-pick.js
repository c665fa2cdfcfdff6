// <select data-window="/lookup/…"> is chosen from in the window that follows it: by name and by filters. Nothing is typed into the field;
// a button says who or what is chosen. The select stays, hidden, and is what the form sends.
onContent((root) => each(root, "select[data-window]", (select) => {
  const box = document.getElementById(`${select.id}-window`);
  if (select.disabled || !box) return;
  const many = select.multiple;
  const holder = Object.assign(document.createElement("div"), { className: "picker" });
  const opener = Object.assign(document.createElement("button"), { type: "button", className: "select pick-open", id: `${select.id}-search` });
  opener.setAttribute("aria-haspopup", "dialog");
  for (const name of ["aria-describedby", "aria-invalid"]) if (select.hasAttribute(name)) opener.setAttribute(name, select.getAttribute(name));
  const label = $(`label[for="${CSS.escape(select.id)}"]`);
  if (label) { label.htmlFor = opener.id; opener.setAttribute("aria-labelledby", `${label.id} ${opener.id}`); }
  select.before(holder);
  holder.append(opener, select);
  select.tabIndex = -1;
  select.setAttribute("aria-hidden", "true");
  const list = $(".pick-list", box), search = $("[data-pick-q]", box), clear = $("[data-pick-clear]", box), done = $("[data-pick-done]", box);
  clear.hidden = select.required;
  done.hidden = !many;
  $(".dialog-foot", box).hidden = select.required && !many;

  const chosen = () => [...select.selectedOptions].filter((option) => option.value);
  const draw = () => { opener.textContent = chosen().map((option) => option.text).join(", ") || texts.choose; opener.toggleAttribute("data-empty", !chosen().length); };
  const changed = () => { select.dispatchEvent(new Event("change", { bubbles: true })); };
  select.addEventListener("change", draw);
  select.addEventListener("invalid", (event) => { event.preventDefault(); opener.focus(); });

  const rows = () => $$("[role=option]", list);
  const mark = (index) => {
    const all = rows();
    all.forEach((row, i) => row.classList.toggle("at", i === (index + all.length) % all.length));
    $(".at", list)?.scrollIntoView({ block: "nearest" });
  };
  const at = () => rows().findIndex((row) => row.classList.contains("at"));
  const take = (row) => {
    const option = [...select.options].find((o) => o.value === row.dataset.value) || select.appendChild(new Option(row.dataset.text, row.dataset.value));
    if (many) { option.selected = !option.selected; row.setAttribute("aria-selected", option.selected); } else { select.value = option.value; box.close(); }
    changed();
  };
  let turn = 0, wait = 0;
  const look = (pause) => {
    clearTimeout(wait);
    const mine = ++turn;
    wait = setTimeout(async () => {
      const url = new URL(select.dataset.window, location.href);
      url.searchParams.set("pick", "1");
      url.searchParams.set("q", search.value.trim());
      for (const filter of $$("[data-pick-filter]", box)) if (filter.value) url.searchParams.set(`pick.${filter.dataset.pickFilter}`, filter.value);
      for (const control of select.form?.elements || []) if (control.name && control.name !== select.name && control.matches("select:not([multiple])") && control.value) url.searchParams.set(control.name, control.value);
      let items;
      try { items = (await (await ask(url, { headers: { Accept: "application/json" } })).json()).items; } catch { toast(texts.offline, "error"); return; }
      if (mine !== turn) return;
      const now = new Set(chosen().map((option) => option.value));
      list.replaceChildren(...items.map((item) => {
        const row = Object.assign(document.createElement("div"), { className: "picker-option" });
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", now.has(item.value));
        row.dataset.value = item.value;
        row.dataset.text = item.text;
        row.append(Object.assign(document.createElement("span"), { textContent: item.text }));
        if (item.note) row.append(Object.assign(document.createElement("small"), { textContent: item.note }));
        row.addEventListener("click", () => take(row));
        return row;
      }));
      if (!items.length) list.append(Object.assign(document.createElement("div"), { className: "none", textContent: texts.nothing }));
      list.dataset.found = items.length;
      mark(0);
    }, pause);
  };
  opener.addEventListener("click", () => { box.showModal(); search.focus(); look(0); });
  // What is done in the window is no change of the form.
  for (const kind of ["input", "change"]) box.addEventListener(kind, (event) => { event.stopPropagation(); look(event.target === search ? 140 : 0); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { if (event.target !== search) return; event.preventDefault(); mark(at() + (event.key === "ArrowDown" ? 1 : -1)); }
    else if (event.key === "Enter" && event.target === search) { event.preventDefault(); const row = rows()[at()]; if (row) take(row); }
    event.stopPropagation(); // Escape closes this window, not the form below it
  });
  clear.addEventListener("click", () => {
    for (const option of chosen()) option.selected = false;
    if (!many) { if (![...select.options].some((o) => !o.value)) select.prepend(new Option("", "")); select.value = ""; }
    changed();
    box.close();
  });
  done.addEventListener("click", () => box.close());
  box.addEventListener("close", () => opener.focus());
  draw();
}));
