// A link with data-dialog shows its page's main part in the one <dialog>; forms in there are sent without leaving the page.
// Without scripts the same links and forms are ordinary pages.
const dialog = { box: null, origin: null, onDone: null };
const dialogBox = () => (dialog.box ||= $("#dialog"));

const showDialog = (html, size) => {
  const box = dialogBox();
  box.className = `dialog ${size || ""}`;
  const content = $(".dialog-content", box);
  content.innerHTML = html;
  if (!box.open) box.showModal();
  window.htmx?.process(content);
  announceContent(content);
  const wrong = $('[aria-invalid="true"]', content);
  (wrong || $("[autofocus]", content) || $("input:not([type=hidden]), select, textarea", content) || $("button.primary", content))?.focus();
};

const openDialog = async (url, { origin = null, size = "", onDone = null } = {}) => {
  dialog.origin = origin || document.activeElement;
  dialog.onDone = onDone;
  try {
    const answer = await ask(url, { headers: { "HX-Target": "dialog" } });
    const html = await answer.text();
    if (answer.headers.get("HX-Redirect")) { location.href = answer.headers.get("HX-Redirect"); return; }
    showDialog(html, size);
  } catch { toast(texts.offline, "error"); }
};

const closeDialog = () => { const box = dialogBox(); if (box?.open) box.close(); };

const sendDialogForm = async (form, submitter) => {
  const body = new FormData(form, submitter);
  form.classList.add("htmx-request");
  let answer;
  try {
    answer = await ask(submitter?.getAttribute("formaction") || form.action, {
      method: "POST", headers: { "HX-Target": "dialog" },
      body: form.enctype === "multipart/form-data" ? body : new URLSearchParams(body),
    });
  } catch { form.classList.remove("htmx-request"); toast(texts.offline, "error"); return; }
  form.classList.remove("htmx-request");
  const created = answer.headers.get("X-Created");
  const next = answer.headers.get("HX-Redirect");
  if (answer.ok && created && dialog.onDone) {
    const done = dialog.onDone;
    dialog.onDone = null;
    dialogBox().close();
    done(JSON.parse(decodeURIComponent(created)));
  } else if (next) {
    dialog.onDone = null;
    const there = new URL(next, location.href);
    // Back to the page below the dialog: its tab, filters and search stay.
    if (there.pathname === location.pathname && !there.search) location.reload(); else location.href = next;
  } else showDialog(await answer.text(), dialogBox().className.replace("dialog", ""));
};

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    event.stopPropagation();
    link.closest("details.menu")?.removeAttribute("open");
    openDialog(link.href, { origin: link, size: link.dataset.dialog });
    return;
  }
  if (event.target.closest?.("[data-close]") && event.target.closest("dialog")) { event.preventDefault(); event.target.closest("dialog").close(); }
}, true);
document.addEventListener("submit", (event) => {
  if (event.target.closest("#dialog") && event.target.method === "post" && !event.defaultPrevented) { event.preventDefault(); sendDialogForm(event.target, event.submitter); }
});
document.addEventListener("mousedown", (event) => {
  if (event.target instanceof HTMLDialogElement && event.target.matches(".palette, .slim")) event.target.close();
});
document.addEventListener("close", (event) => {
  if (event.target !== dialogBox()) return;
  const origin = dialog.origin;
  if (dialog.onDone) { const cancelled = dialog.onDone; dialog.onDone = null; cancelled(null); }
  if (origin?.isConnected) origin.focus();
}, true);
