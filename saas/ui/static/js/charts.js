// Charts: each .chart has a data block (JSON) before it; colours and fonts come from the page, so both themes fit.
// A click on a figure opens its records. Tooltips are drawn as SVG text: HTML ones would need inline styles.
{
  const palette = ["#2fa58a", "#e0a03c", "#b565c9", "#e06a75", "#4aa3d8", "#8c9b4a", "#8a8d98"];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const solid = (name) => { const probe = document.createElement("i"); probe.style.color = `var(${name})`; document.body.append(probe); const value = getComputedStyle(probe).color; probe.remove(); return toRgb(value); };
  const toRgb = (value) => { const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1; const pen = canvas.getContext("2d"); pen.fillStyle = value; pen.fillRect(0, 0, 1, 1); const [r, g, b] = pen.getImageData(0, 0, 1, 1).data; return `rgb(${r},${g},${b})`; };
  const lang = document.documentElement.lang || "en";
  const short = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 1 });
  const full = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  const stageColours = { gray: "#8a8d98", red: "#e06a75", orange: "#e58a4e", yellow: "#d9b23c", green: "#4cab70", teal: "#2fa58a", blue: "#4a86e0", indigo: "#6b6be0", purple: "#a065cc", pink: "#d566a8" };

  const draw = (box) => {
    const data = JSON.parse(document.getElementById(box.dataset.chart).textContent);
    const ink = { text: solid("--text"), soft: solid("--text-2"), line: solid("--line"), raised: solid("--bg-raised"), bg: solid("--bg"), brand: solid("--brand") };
    const font = css("--font");
    const base = {
      color: [ink.brand, ...palette], animation: !matchMedia("(prefers-reduced-motion: reduce)").matches, animationDuration: 250,
      textStyle: { fontFamily: font, fontSize: 12, color: ink.soft }, aria: { enabled: true },
      tooltip: { trigger: data.type === "pie" || data.type === "funnel" ? "item" : "axis", renderMode: "richText", confine: true, backgroundColor: ink.raised, borderColor: ink.line, borderWidth: 1, padding: [7, 10],
        textStyle: { color: ink.text, fontSize: 12, fontFamily: font }, axisPointer: { type: "shadow", shadowStyle: { color: ink.line, opacity: 0.35 } }, valueFormatter: (v) => (v == null ? "–" : full.format(v)) },
    };
    const many = data.series.length > 1;
    const legend = { type: "scroll", bottom: 0, icon: "circle", itemWidth: 8, itemHeight: 8, itemGap: 14, textStyle: { color: ink.soft } };
    const wide = box.clientWidth > 420;
    let option;
    if (data.type === "pie" || data.type === "funnel") {
      const points = data.labels.map((name, i) => ({ name, value: data.series[0].values[i], itemStyle: data.colors?.[i] ? { color: stageColours[data.colors[i]] } : undefined }));
      option = { ...base, legend: data.type === "pie" ? (wide ? { ...legend, bottom: "middle", right: 0, orient: "vertical" } : legend) : undefined,
        series: [data.type === "pie"
          ? { type: "pie", animationDuration: 250, radius: ["54%", "80%"], center: wide ? ["34%", "50%"] : ["50%", "44%"], itemStyle: { borderColor: ink.bg, borderWidth: 2 }, label: { show: false }, data: points }
          : { type: "funnel", sort: "none", gap: 2, left: 8, right: 8, top: 4, bottom: 4, minSize: "6%", label: { position: "inside", color: "#fff", fontSize: 12, formatter: (p) => `${p.name}  ${full.format(p.value)}` }, itemStyle: { borderWidth: 0 }, data: points }] };
    } else {
      const flat = data.type === "bar" && (data.horizontal ?? (data.labels.length > 7 || data.labels.some((label) => label.length > 14)));
      const names = { type: "category", data: data.labels, inverse: flat, axisTick: { show: false }, axisLine: { lineStyle: { color: ink.line } }, axisLabel: { color: ink.soft, hideOverlap: true, width: flat ? 120 : undefined, overflow: "truncate" } };
      const values = { type: "value", splitNumber: 4, splitLine: { lineStyle: { color: ink.line } }, axisLabel: { color: ink.soft, formatter: (v) => short.format(v), hideOverlap: true } };
      const stacked = data.stacked ? "all" : undefined;
      option = { ...base, legend: many ? legend : undefined, grid: { left: 4, right: 14, top: 14, bottom: many ? 30 : 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" }, xAxis: flat ? values : names, yAxis: flat ? names : values,
        series: data.series.map((line) => (data.type === "bar"
          ? { type: "bar", name: line.name, data: line.values.map((value, i) => (data.colors?.[i] && data.series.length === 1 ? { value, itemStyle: { color: stageColours[data.colors[i]] } } : value)), stack: stacked, barMaxWidth: 26, itemStyle: { borderRadius: stacked ? 0 : flat ? [0, 3, 3, 0] : [3, 3, 0, 0] } }
          : { type: "line", name: line.name, data: line.values, stack: stacked, smooth: 0.15, symbolSize: 6, showSymbol: data.labels.length < 20, lineStyle: { width: 2 }, areaStyle: data.type === "area" ? { opacity: 0.12 } : undefined })) };
    }
    const chart = window.echarts.getInstanceByDom(box) || window.echarts.init(box, null, { renderer: "svg" });
    chart.setOption(option, true);
    chart.off("click");
    chart.on("click", (point) => { const url = data.links?.[point.dataIndex]; if (url) location.href = url; });
    box.setAttribute("role", "img");
  };
  const drawAll = () => { for (const box of document.querySelectorAll("[data-chart]")) draw(box); };
  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:after:swap", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let wait = 0;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(() => { for (const box of document.querySelectorAll("[data-chart]")) window.echarts.getInstanceByDom(box)?.resize(); draw && drawAll(); }, 150); });
}
