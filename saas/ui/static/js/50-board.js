// Boards: dragging a card posts the move. The server answers done, refused (the card goes back, with the reason) or asks
// for the missing fields in the dialog; cancelling that dialog puts the card back.
const putBack = (event) => { event.from.insertBefore(event.item, event.from.children[event.oldIndex] || null); };
const moveCard = async (event) => {
  const { item, from, to } = event;
  if (from === to) return;
  item.classList.add("is-saving");
  const body = new URLSearchParams({ to: to.dataset.stageCards, version: item.dataset.version || "" });
  let answer;
  try { answer = await ask(item.dataset.move, { method: "POST", body, headers: { "HX-Target": "board" } }); }
  catch { putBack(event); toast(texts.offline, "error"); item.classList.remove("is-saving"); return; }
  item.classList.remove("is-saving");
  const kind = answer.headers.get("X-Move");
  if (answer.ok && kind !== "ask") {
    const next = answer.headers.get("HX-Redirect");
    const said = decodeURIComponent(answer.headers.get("X-Message") || "");
    if (said) toast(said);
    if (next) refreshBoard();
  } else if (kind === "ask") {
    dialog.origin = $(".card-title", item);
    dialog.onDone = () => putBack(event);
    showDialog(await answer.text());
  } else {
    putBack(event);
    toast(decodeURIComponent(answer.headers.get("X-Reason") || "") || texts.refused, "error");
  }
};
const refreshBoard = () => window.htmx.ajax("GET", location.href, { target: "#board", select: "#board", swap: "outerHTML" });

onContent((root) => each(root, "[data-stage-cards]", (list) => {
  if (!window.Sortable) return;
  window.Sortable.create(list, {
    group: "board", draggable: ".card", filter: "[data-locked]", preventOnFilter: false, animation: 120, delay: 160, delayOnTouchOnly: true, sort: false,
    onStart: (event) => {
      const allowed = (event.item.dataset.targets || "").split(" ");
      for (const other of $$("[data-stage-cards]")) {
        const column = other.closest(".board-col");
        const ok = other === event.from || allowed.includes(other.dataset.stageCards);
        column.classList.toggle("is-refused", !ok && !!event.item.dataset.targets);
        column.classList.toggle("is-target", ok && other !== event.from);
      }
    },
    onEnd: (event) => { for (const column of $$(".board-col")) column.classList.remove("is-refused", "is-target"); moveCard(event); },
  });
}));
