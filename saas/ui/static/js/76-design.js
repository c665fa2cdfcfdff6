// Entities, fields, option lists, relations: rows that grow, lists that can be searched, previews of what is being put together.
document.documentElement.classList.add("scripts");

onContent((root) => each(root, "[data-rows]", (box) => {
  const list = $(".rows-list", box), pattern = $(":scope > template", box), add = $("[data-rows-add]", box);
  if (!pattern || !add) return;
  add.hidden = false;
  const number = () => Math.max(-1, ...$$("[name]", list).map((input) => +(input.name.slice(input.name.indexOf(".")).match(/\.(\d+)\./)?.[1] ?? -1))) + 1;
  const ready = (row) => { for (const button of $$("[data-rows-remove]", row)) if (button.closest(".rows-row") === row) button.hidden = false; };
  for (const row of [...list.children]) { if (row.hasAttribute("data-rows-empty") && list.children.length > 1) row.remove(); else ready(row); }
  add.addEventListener("click", () => {
    const holder = document.createElement("template");
    holder.innerHTML = pattern.innerHTML.replaceAll("__n__", number()).trim();
    const row = holder.content.firstElementChild;
    list.append(row);
    ready(row);
    announceContent(row);
    $("input:not([type=hidden], [type=radio]), select", row)?.focus();
  });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-rows-remove]");
    if (!button || button.closest("[data-rows]") !== box) return;
    const next = button.closest(".rows-row").nextElementSibling;
    button.closest(".rows-row").remove();
    box.dispatchEvent(new Event("change", { bubbles: true }));
    ($("input:not([type=hidden])", next || list) || add).focus();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input") && !event.ctrlKey && !event.metaKey) { event.preventDefault(); add.click(); }
  });
}));

onContent((root) => each(root, "[data-picklist]", (box) => {
  const search = $("[data-picklist-search]", box);
  search.hidden = $$("label", box).length < 12;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const label of $$("label", box)) label.hidden = !label.textContent.toLowerCase().includes(wanted) && !$("input", label).checked;
  });
}));

// What the form stands for, as the server sees it.
onContent((root) => each(root, "[data-live-preview]", (box) => {
  const form = box.closest("form"), result = $("[data-preview-result]", box);
  let timer = 0, asked = 0;
  const show = async () => {
    const number = ++asked;
    const answer = await ask(box.dataset.livePreview, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
    if (answer?.ok && number === asked) result.innerHTML = await answer.text();
  };
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => { clearTimeout(timer); timer = setTimeout(show, 300); });
  show();
}));

onContent((root) => each(root, "[data-number-pattern]", (box) => {
  const input = $("input", box), examples = $("[data-examples]", box);
  let timer = 0, asked = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const number = ++asked;
      const answer = await ask(box.dataset.numberPattern, { method: "POST", body: new URLSearchParams({ _csrf: csrf(), text: input.value }) }).catch(() => null);
      if (answer?.ok && number === asked) examples.innerHTML = await answer.text();
    }, 250);
  });
  for (const button of $$("[data-insert-piece]", box)) {
    button.hidden = false;
    button.addEventListener("click", () => {
      input.setRangeText(button.dataset.insertPiece, input.selectionStart, input.selectionEnd, "end");
      input.focus();
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
}));

// A relation as a sentence, while it is chosen.
onContent((root) => each(root, "[data-sentence]", (line) => {
  const form = line.closest("form");
  const words = (name) => { const list = form.elements[name]; return list.value ? list.selectedOptions[0].text : ""; };
  const say = () => {
    const kind = $("[name=kind]:checked", form)?.value, child = words("child"), parent = words("parent");
    line.textContent = kind && child && parent ? line.dataset[kind].replaceAll("{child}", child).replaceAll("{parent}", parent) : "";
  };
  form.addEventListener("change", say);
  say();
}));

document.addEventListener("change", (event) => {
  const list = event.target;
  if (list.matches?.("select[data-submit]")) list.form.requestSubmit();
  if (list.matches?.("select[data-colour]")) list.closest(".colour-pick").className = `colour-pick badge-${list.value}`;
});
