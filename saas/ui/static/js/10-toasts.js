// Short messages in a live region. The server puts those of the last act into the page; scripts add theirs.
const toast = (text, kind = "good") => {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  box.append(icon(kind === "good" ? "circle-check" : "alert"), Object.assign(document.createElement("span"), { textContent: text }));
  const close = Object.assign(document.createElement("button"), { type: "button" });
  close.setAttribute("aria-label", texts.close);
  close.append(icon("x"));
  box.append(close);
  $("#toasts")?.append(box);
  arm(box);
};
const arm = (box) => {
  box.querySelector("button")?.addEventListener("click", () => box.remove());
  if (!box.classList.contains("error")) setTimeout(() => { if (!box.matches(":hover")) box.remove(); }, 6000);
};
onContent((root) => each(root, ".toast", arm));
document.addEventListener("htmx:error", () => toast(texts.offline, "error"));
// A refused or failed request leaves what is there alone and says why, unless the answer is the form again with what is wrong in it.
document.addEventListener("htmx:before:response", (event) => {
  const { response } = event.detail.ctx;
  if (response.status < 400 || response.headers.get("X-Shown")) return;
  event.preventDefault();
  toast(decodeURIComponent(response.headers.get("X-Reason") || "") || texts.failed, "error");
});
