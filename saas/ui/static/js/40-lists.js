// Lists: a click on a row opens it, checkboxes select (Shift for a range), j and k move. State lives in the page, not here.
const rows = () => $$("[data-list] tr[data-record-id], .board .card[data-record-id]");
const currentRow = () => $(".is-current");
const moveRow = (step) => {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(currentRow());
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  currentRow()?.classList.remove("is-current");
  next.classList.add("is-current");
  next.scrollIntoView({ block: "nearest" });
  ($(".title-link, .card-title", next) || next).focus({ preventScroll: true });
};
const openRow = (row) => { const link = row && $("a.title-link, a.card-title", row); if (link) link.click(); };

document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-href]");
  if (!row || event.defaultPrevented || event.target.closest("a, button, input, label, select, summary, .check") || getSelection().toString()) return;
  const beside = $("a[data-beside]", row);
  if (event.ctrlKey || event.metaKey) open(row.dataset.href, "_blank"); else if (beside) beside.click(); else location.href = row.dataset.href;
});
// A record beside its list: what was typed there is never lost to another row, view or search; the browser asks before it leaves.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-list] a[href]:not([data-dialog])");
  if (link && !event.ctrlKey && !event.metaKey && $("#panel form[data-touched]")) { event.preventDefault(); event.stopImmediatePropagation(); location.href = link.href; return; }
  const opened = event.target.closest?.("a[data-beside]")?.closest("tr");
  if (opened) for (const row of $$("[data-list] tr[data-record-id]")) row.classList.toggle("is-open", row === opened);
}, true);

// The list answers while one types, but not to letters of which a character is still being composed.
let searchWait = 0;
const searchSoon = (event) => {
  if (event.isComposing || !event.target.matches?.("[data-list-search]") || $("#panel form[data-touched]")) return;
  clearTimeout(searchWait);
  searchWait = setTimeout(() => { searchWait = 0; if (event.target.isConnected) event.target.form?.requestSubmit(); }, 250);
};
document.addEventListener("input", searchSoon);
document.addEventListener("compositionend", searchSoon);
// The answer brings a box with what was asked for: the one in which somebody goes on typing stays in its place, if it is still the same list.
document.addEventListener("htmx:before:swap", (event) => {
  const box = $("[data-list-search]"), { ctx, tasks } = event.detail;
  if (!box || (!searchWait && (box !== document.activeElement || box.form !== ctx.sourceElement))) return;
  for (const task of tasks) {
    const next = $("[data-list-search]", task.fragment);
    if (next?.closest("form").getAttribute("action") === box.form.getAttribute("action")) next.setAttribute("hx-preserve", "");
  }
});

let lastChecked = null;
const refreshSelection = () => {
  const boxes = $$('[data-list] input[name="ids"]');
  const chosen = boxes.filter((box) => box.checked);
  for (const box of boxes) box.closest("tr")?.classList.toggle("is-selected", box.checked);
  const bar = $("[data-bulkbar]");
  if (bar) { bar.hidden = !chosen.length; const count = $("[data-bulk-count]", bar); if (count) count.textContent = chosen.length; }
  const all = $("[data-select-all]");
  if (all) { all.checked = chosen.length > 0 && chosen.length === boxes.length; all.indeterminate = chosen.length > 0 && chosen.length < boxes.length; }
};
document.addEventListener("click", (event) => {
  const box = event.target;
  if (!box.matches?.('[data-list] input[name="ids"]')) return;
  const boxes = $$('[data-list] input[name="ids"]');
  if (event.shiftKey && lastChecked?.isConnected) {
    const [from, to] = [boxes.indexOf(lastChecked), boxes.indexOf(box)].sort((a, b) => a - b);
    for (const each of boxes.slice(from, to + 1)) each.checked = box.checked;
  }
  lastChecked = box;
  refreshSelection();
});
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-select-all]")) { for (const box of $$('[data-list] input[name="ids"]')) box.checked = event.target.checked; refreshSelection(); }
  if (event.target.matches?.("[data-autosubmit]")) event.target.form?.requestSubmit();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-clear-selection]")) { for (const box of $$('[data-list] input[name="ids"]')) box.checked = false; refreshSelection(); }
});
document.addEventListener("DOMContentLoaded", refreshSelection);
document.addEventListener("htmx:after:swap", refreshSelection);
// After a swap the focus must not fall back to the top of the page, and what is listed now is announced.
document.addEventListener("htmx:after:swap", () => {
  const list = $("#list");
  if (!list) return;
  if (document.activeElement === document.body) list.focus({ preventScroll: true });
  const live = $("#live");
  if (live) live.textContent = ($("#count", list) || $(".blank h2", list))?.textContent || "";
});
