// Editors whose rows and cards depend on each other: what a button or a choice does to them is worked out by the server from the
// whole form; only the editors are exchanged, and nothing is saved. Without scripts the same buttons send the form.
let exchanging = 0;
const exchangeEditors = async (form, gesture) => {
  const turn = ++exchanging, body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (typeof value === "string" && name !== "_gesture") body.append(name, value);
  body.append("_gesture", gesture);
  const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin", headers: { Accept: "text/html" } }).catch(() => null);
  if (turn !== exchanging) return;
  if (!answer?.ok) { toast(answer ? texts.failed : texts.offline, "error"); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement, name = focused?.name, value = focused?.value;
  for (const editor of $$("[data-editor]", form)) {
    if (!editor.isConnected || editor.parentElement.closest("[data-editor]")) continue;
    const fresh = $(`[data-editor="${CSS.escape(editor.dataset.editor)}"]`, page);
    if (!fresh) continue;
    const ours = editor.closest(".field"), theirs = fresh.closest(".field");
    if (ours && !theirs?.matches(".has-error")) {  // what was found wrong before may be right by now
      ours.classList.remove("has-error");
      $(":scope > .error", ours)?.replaceChildren();
    }
    editor.replaceWith(fresh);
    announceContent(fresh);
  }
  const verb = gesture.split("|")[1];
  const changed = $(`[data-editor="${CSS.escape(gesture.split("|")[0])}"]`, form);
  const card = verb === "add" && changed && $$(":scope > .stack-cards > .stack-card", changed).pop();
  const again = name && name !== "_gesture" && $$("input, select, textarea", form).find((input) => input.name === name && (input.type !== "checkbox" || input.value === value));
  const next = card ? $("input:not([type=hidden]), select, textarea", card) : again || (name === "_gesture" && changed);
  if (next) next.focus();
};
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-gesture]");
  if (!button?.form) return;
  event.preventDefault();
  button.form.dispatchEvent(new Event("input", { bubbles: true }));
  exchangeEditors(button.form, button.value);
});
document.addEventListener("change", (event) => {
  const input = event.target;
  if (!input.matches?.("[data-refresh]") || !input.form) return;
  exchangeEditors(input.form, `${input.closest("[data-editor]")?.dataset.editor || ""}|show|`);
});

// Texts with fields in them: a field goes where the cursor was last.
onContent((root) => each(root, "[data-template]", (box) => {
  let last = $("input, textarea", box);
  box.addEventListener("focusin", (event) => { if (event.target.matches("input, textarea")) last = event.target; });
  box.addEventListener("click", (event) => {
    const item = event.target.closest("[data-insert-text]");
    if (!item || !last) return;
    last.setRangeText(item.dataset.insertText, last.selectionStart, last.selectionEnd, "end");
    item.closest("details").removeAttribute("open");
    last.focus();
    last.dispatchEvent(new Event("input", { bubbles: true }));
  });
}));

// The matrix of rights: a changed cell gives its row rights of its own, as the server will.
document.addEventListener("change", (event) => {
  const row = event.target.matches?.(".cell-right") && event.target.closest("tr");
  if (!row) return;
  if (row.classList.contains("is-inherited")) row.classList.replace("is-inherited", "is-own");
  const chosen = event.target.value;
  event.target.classList.toggle("is-none", ["no", "none"].includes(chosen));
  event.target.classList.toggle("is-all", ["yes", "all", "as_reading"].includes(chosen));
});
