// Charts: each .chart has a data block (JSON) before it. Drawn as SVG, coloured by the page's own variables, so both themes fit without
// drawing again; a click on a figure opens its records. A library for this weighed more than everything else on the page together;
// the table below each chart holds the same numbers for those who cannot see it.
{
  const lang = document.documentElement.lang || "en";
  const short = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 1 });
  const full = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  const palette = ["var(--brand)", "#2fa58a", "#e0a03c", "#b565c9", "#e06a75", "#4aa3d8", "#8c9b4a", "#8a8d98"];
  const size = 12, row = 16;
  const pen = document.createElement("canvas").getContext("2d");

  const add = (parent, name, attributes = {}, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };
  const html = (parent, css, text) => { const node = document.createElement("div"); node.className = css; if (text !== undefined) node.textContent = text; parent.append(node); return node; };
  const said = (value) => (value == null ? "–" : full.format(value));
  const width = (text) => pen.measureText(text).width;
  const cut = (text, most) => { if (width(text) <= most) return text; let end = text.length; while (end > 1 && width(`${text.slice(0, end)}…`) > most) end -= 1; return `${text.slice(0, end)}…`; };
  // Whose colour: an option's own, else the place in the palette.
  const paint = (node, data, index, what = "fill") => { const own = data.colors?.[index]; if (own) node.classList.add(`c-${own}`); node.style[what] = own ? "var(--c)" : palette[index % palette.length]; return node; };

  // Round steps for an axis from `low` to `high`.
  const ticks = (low, high) => {
    const rough = (high - low || 1) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
    const found = [];
    const top = high > low ? high : low + 4 * step; // nothing but zeros still has an axis
    for (let at = Math.floor(low / step) * step; at < top + step * 0.999; at += step) found.push(Number(at.toPrecision(12)));
    return found;
  };

  // The bars or points of all series: [low, high] for each value, heaped where stacked.
  const heap = (data) => {
    const above = data.labels.map(() => 0), below = data.labels.map(() => 0);
    return data.series.map((line) => line.values.map((value, i) => {
      if (value == null) return null;
      if (!data.stacked) return [0, value];
      const base = value < 0 ? below : above;
      const from = base[i];
      base[i] += value;
      return [from, base[i]];
    }));
  };

  const legend = (box, data, names) => {
    const list = html(box, "chart-legend");
    names.forEach((name, i) => { const item = html(list, "chart-key"); paint(html(item, "chart-dot"), data, i, "background"); item.append(name); });
  };

  // What stands at the pointer; `lines` are [colour place, name, value].
  const tip = (box, data, event, title, lines) => {
    const shown = box.querySelector(".chart-tip") || html(box, "chart-tip");
    shown.replaceChildren();
    html(shown, "chart-tip-title", title);
    for (const [place, name, value] of lines) {
      const line = html(shown, "chart-key");
      paint(html(line, "chart-dot"), data, place, "background");
      line.append(name);
      html(line, "chart-tip-value", said(value));
    }
    const frame = box.getBoundingClientRect(), x = event.clientX - frame.left, y = event.clientY - frame.top;
    shown.style.left = `${Math.max(0, x + 14 + shown.offsetWidth > frame.width ? x - 14 - shown.offsetWidth : x + 14)}px`;
    shown.style.top = `${Math.max(0, Math.min(y - 8, frame.height - shown.offsetHeight))}px`;
  };
  const untip = (box) => box.querySelector(".chart-tip")?.remove();
  const open = (data, index) => { const url = data.links?.[index]; if (url) location.href = url; };

  // Something that can be pointed at and clicked.
  const live = (box, data, node, index, lines) => {
    if (data.links?.[index]) node.classList.add("chart-link");
    node.addEventListener("pointermove", (event) => tip(box, data, event, data.labels[index], lines()));
    node.addEventListener("pointerleave", () => untip(box));
    node.addEventListener("click", () => open(data, index));
  };

  // ---- bars, lines, areas

  const axes = (box, svg, data, w, h) => {
    const bars = data.type === "bar";
    const flat = bars && (data.horizontal ?? (data.labels.length > 7 || data.labels.some((label) => label.length > 14)));
    const heaped = heap(data), every = heaped.flat().filter(Boolean).flat();
    const steps = ticks(Math.min(0, ...every), Math.max(0, ...every));
    const low = steps[0], high = steps.at(-1);
    const words = steps.map((at) => short.format(at));
    const names = data.labels.map((label) => cut(label, flat ? 120 : 140));
    const left = 8 + Math.max(...(flat ? names : words).map(width)), right = flat ? 8 + width(words.at(-1)) / 2 : 8, top = 8, bottom = row + 6;
    const wide = Math.max(1, w - left - right), tall = Math.max(1, h - top - bottom), count = data.labels.length;
    const band = (flat ? tall : wide) / count;
    const at = (value) => (flat ? left + ((value - low) / (high - low)) * wide : top + (1 - (value - low) / (high - low)) * tall);
    const middle = (i) => (flat ? top : left) + band * (i + 0.5);

    // The band under the pointer, behind what is drawn.
    data.labels.forEach((_label, i) => {
      const start = (flat ? top : left) + band * i;
      const zone = add(svg, "rect", flat ? { x: 0, y: start, width: w, height: band, class: "chart-zone" } : { x: start, y: 0, width: band, height: h, class: "chart-zone" });
      live(box, data, zone, i, () => data.series.map((line, s) => [data.series.length === 1 && data.colors ? i : s, line.name, line.values[i]]));
    });

    let before = -Infinity;
    steps.forEach((step, i) => {
      const place = at(step);
      add(svg, "line", flat ? { x1: place, x2: place, y1: top, y2: top + tall, class: "chart-grid" } : { x1: left, x2: left + wide, y1: place, y2: place, class: "chart-grid" });
      if (flat && place - before < width(words[i]) + 10) return;
      before = place;
      add(svg, "text", flat ? { x: place, y: top + tall + row, "text-anchor": "middle" } : { x: left - 6, y: place + 4, "text-anchor": "end" }, words[i]);
    });
    const skip = Math.max(1, Math.ceil(flat ? row / band : (Math.max(...names.map(width)) + 10) / band));
    names.forEach((name, i) => { if (i % skip === 0) add(svg, "text", flat ? { x: left - 6, y: middle(i) + 4, "text-anchor": "end" } : { x: Math.max(width(name) / 2 + 1, Math.min(middle(i), w - width(name) / 2 - 1)), y: top + tall + row, "text-anchor": "middle" }, name); });

    if (bars) {
      const lanes = data.stacked ? 1 : data.series.length, thick = Math.max(1, Math.min(26, (band * 0.7) / lanes));
      heaped.forEach((spans, s) => spans.forEach((span, i) => {
        if (!span) return;
        const [from, to] = [at(span[0]), at(span[1])], start = middle(i) - (thick * lanes) / 2 + thick * (data.stacked ? 0 : s);
        const near = Math.min(from, to), long = Math.abs(to - from), round = data.stacked ? 0 : Math.min(3, thick / 2, long);
        const bar = add(svg, "rect", flat ? { x: near, y: start, width: long, height: thick, rx: round } : { x: start, y: near, width: thick, height: long, rx: round });
        bar.classList.add("chart-mark");
        if (data.series.length === 1 && data.colors) paint(bar, data, i);
        else paint(bar, { ...data, colors: null }, s);
      }));
    } else {
      const plain = { ...data, colors: null };
      heaped.forEach((spans, s) => {
        const runs = [[]];
        spans.forEach((span, i) => { if (span) runs.at(-1).push([middle(i), at(span[1]), at(span[0])]); else runs.push([]); });
        for (const run of runs.filter((r) => r.length)) {
          const path = run.map(([x, y], i) => `${i ? "L" : "M"}${x},${y}`).join("");
          if (data.type === "area") paint(add(svg, "path", { d: `${path}${run.toReversed().map(([x, , y]) => `L${x},${y}`).join("")}Z`, class: "chart-mark chart-area" }), plain, s);
          paint(add(svg, "path", { d: path, class: "chart-mark chart-line" }), plain, s, "stroke");
          if (count < 20 || run.length === 1) for (const [x, y] of run) paint(add(svg, "circle", { cx: x, cy: y, r: 3, class: "chart-mark" }), plain, s);
        }
      });
    }
    add(svg, "line", flat ? { x1: at(0), x2: at(0), y1: top, y2: top + tall, class: "chart-base" } : { x1: left, x2: left + wide, y1: at(0), y2: at(0), class: "chart-base" });
  };

  // ---- shares and stages

  const ring = (box, svg, data, w, h) => {
    const values = data.series[0].values.map((value) => Math.max(0, value || 0)), whole = values.reduce((a, b) => a + b, 0) || 1;
    const outer = Math.max(1, Math.min(w, h) / 2 - 6), inner = outer * 0.66, x = w / 2, y = h / 2;
    const point = (share, radius) => `${x + radius * Math.sin(share * 2 * Math.PI)},${y - radius * Math.cos(share * 2 * Math.PI)}`;
    let sum = 0;
    values.forEach((value, i) => {
      const from = sum / whole;
      sum += value;
      const to = Math.min(sum / whole, from + 0.99999), large = to - from > 0.5 ? 1 : 0;
      if (!value) return;
      const d = `M${point(from, outer)}A${outer},${outer} 0 ${large} 1 ${point(to, outer)}L${point(to, inner)}A${inner},${inner} 0 ${large} 0 ${point(from, inner)}Z`;
      live(box, data, paint(add(svg, "path", { d, class: "chart-slice" }), data, i), i, () => [[i, data.series[0].name, data.series[0].values[i]]]);
    });
  };

  const funnel = (box, svg, data, w, h) => {
    const values = data.series[0].values, most = Math.max(1, ...values.map((value) => value || 0)), tall = h / Math.max(1, values.length);
    const reach = (value) => Math.max(0.06, (value || 0) / most) * (w - 16);
    values.forEach((value, i) => {
      const above = reach(value), below = reach(i + 1 < values.length ? values[i + 1] : value), y = tall * i;
      const d = `M${(w - above) / 2},${y}H${(w + above) / 2}L${(w + below) / 2},${y + tall - 2}H${(w - below) / 2}Z`;
      live(box, data, paint(add(svg, "path", { d, class: "chart-slice" }), data, i), i, () => [[i, data.series[0].name, value]]);
      paint(add(svg, "text", { x: w / 2, y: y + tall / 2 + 4, "text-anchor": "middle", class: "chart-inside" }, cut(`${data.labels[i]}  ${said(value)}`, w - 20)), data, i, "stroke");
    });
  };

  const draw = (box) => {
    const block = document.getElementById(box.dataset.chart);
    if (!block) return; // swapped away meanwhile
    const data = JSON.parse(block.textContent);
    pen.font = `${size}px ${getComputedStyle(box).fontFamily}`;
    box.replaceChildren();
    const round = data.type === "pie";
    box.classList.toggle("beside", round && box.clientWidth > 420);
    const frame = html(box, "chart-frame");
    if (round) legend(box, data, data.labels);
    else if (data.series.length > 1) legend(box, { ...data, colors: null }, data.series.map((line) => line.name));
    const w = frame.clientWidth, h = frame.clientHeight;
    const svg = add(frame, "svg", { width: w, height: h, viewBox: `0 0 ${w} ${h}`, "aria-hidden": "true" });
    (round ? ring : data.type === "funnel" ? funnel : axes)(box, svg, data, w, h);
    box.setAttribute("role", "img");
    box.dataset.drawn = `${box.clientWidth}x${box.clientHeight}`;
  };

  const again = new ResizeObserver((entries) => { for (const { target } of entries) if (!target.isConnected) again.unobserve(target); else if (target.dataset.drawn !== `${target.clientWidth}x${target.clientHeight}`) draw(target); });
  const drawAll = () => { for (const box of document.querySelectorAll("[data-chart]")) { draw(box); again.observe(box); } };
  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:after:swap", drawAll);
}
