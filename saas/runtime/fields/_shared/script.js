// Controls beside a control (`data-follows` is its id): a slider by a number, a colour picker by its code. They follow each other.
{
  const SUITS = { range: /^\d+$/, color: /^#[0-9a-f]{6}$/i };

  onContent((root) => each(root, "input[data-follows]", (helper) => {
    const control = document.getElementById(helper.dataset.follows);
    if (!control) return;
    helper.hidden = false;
    helper.addEventListener("input", () => {
      control.value = helper.value;
      control.dispatchEvent(new Event("change", { bubbles: true }));
    });
    control.addEventListener("input", () => {
      const value = control.value.trim();
      if (SUITS[helper.type].test(value)) helper.value = value;
    });
  }));
}
