// Forms: warn before losing input, Ctrl+Enter sends, the first problem gets the focus, sections answer to other fields.
let dirty = null;
const guarded = (element) => element?.closest?.("form[data-guard]");
const touch = (form) => { dirty = form; form.dataset.touched = "1"; };
document.addEventListener("input", (event) => { const form = guarded(event.target); if (form) touch(form); });
document.addEventListener("change", (event) => { const form = guarded(event.target); if (form && event.isTrusted) touch(form); });
document.addEventListener("change", (event) => {
  const sections = event.target.closest?.("[data-depends]");
  if (sections && sections.dataset.depends.split(" ").includes(event.target.name)) window.htmx.trigger(sections, "refresh");
});
// What may be there already is asked a moment after the last key in a field that duplicate rules look at.
const alikeSoon = new WeakMap();
const askAlike = (event) => {
  const place = event.target.form?.querySelector("[data-alike-of]");
  if (!place || !place.dataset.alikeOf.split(" ").includes(event.target.name)) return;
  clearTimeout(alikeSoon.get(place));
  alikeSoon.set(place, setTimeout(() => place.isConnected && window.htmx.trigger(place, "alike"), event.type === "input" ? 350 : 50));
};
document.addEventListener("input", askAlike);
document.addEventListener("change", askAlike);
document.addEventListener("submit", (event) => {
  if (event.target === dirty) dirty = null;
  const form = event.target;
  if (form.method === "post" && !form.closest("#dialog")) {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 4000);
  }
});
addEventListener("pageshow", () => { for (const form of $$("form[data-sent]")) delete form.dataset.sent; });
addEventListener("beforeunload", (event) => { if (dirty?.isConnected) event.preventDefault(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { const form = event.target.form || event.target.closest?.("form"); if (form?.method === "post") { event.preventDefault(); form.requestSubmit($("button.primary", form)); } }
});
document.addEventListener("DOMContentLoaded", () => {
  const summary = $(".page-body [data-error-summary]");
  if (summary) { summary.focus(); dirty = guarded(summary); }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-error-summary] a[href^='#']");
  if (!link) return;
  const control = document.getElementById(link.hash.slice(1));
  if (!control) return;
  event.preventDefault();
  const visible = control.tabIndex < 0 ? document.getElementById(`${control.id}-search`) || control.parentElement : control;
  visible.scrollIntoView({ block: "center" });
  visible.focus();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-back]") && history.length > 1 && document.referrer.startsWith(location.origin)) { event.preventDefault(); history.back(); }
  if (event.target.closest?.("[data-print]")) window.print();
  const copy = event.target.closest?.("[data-copy]");
  if (copy) { event.preventDefault(); navigator.clipboard?.writeText(copy.dataset.copy).then(() => toast(texts.copied)); copy.closest("details.menu")?.removeAttribute("open"); }
});
