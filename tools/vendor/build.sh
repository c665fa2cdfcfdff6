#!/bin/sh
# Rebuild saas/ui/static/vendor from npm. Needed only to upgrade a vendored library; the results are committed.
# Usage: tools/vendor/build.sh   (needs node and npm; works in a temporary folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../saas/ui/static/vendor
work=${VENDOR_WORK:-$(mktemp -d)}
cd "$work"
[ -d node_modules/sortablejs ] || npm install --no-audit --no-fund htmx.org@4.0.1 sortablejs@1.15.7 @tabler/icons@3.51.0 \
  @fontsource-variable/inter@5
{ echo '/*! htmx.org 4.0.1 | Zero-Clause BSD | https://htmx.org */'; sed '/^\/\/# sourceMappingURL/d' node_modules/htmx.org/dist/htmx.min.js; } > "$out/htmx.min.js"
cp node_modules/sortablejs/Sortable.min.js "$out/sortable.min.js"
cp node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2 "$out/inter-latin.woff2"
node - "$here/icons.txt" > "$out/icons.svg" <<'JS'
const fs = require("fs");
const wanted = fs.readFileSync(process.argv[2], "utf8").split(/\s+/).filter(Boolean).map((w) => w.split("="));
const symbols = wanted.map(([file, id]) => {
  const svg = fs.readFileSync(`node_modules/@tabler/icons/icons/outline/${file}.svg`, "utf8");
  const body = svg.replace(/<!--[\s\S]*?-->/g, "").replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "").replace(/\s*\n\s*/g, "");
  return `<symbol id="${id ?? file}" viewBox="0 0 24 24">${body}</symbol>`;
});
console.log(`<!-- Tabler Icons 3.51.0 | MIT | https://tabler.io/icons --><svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>`);
JS
ls -l "$out"
