"use strict";
// The gallery, the viewer, and the comparison with other reports. All names are set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const FIELDS = ["id", "split", "tags", "score", "kind", "failed", "values", "parts", "classes",
  "probable", "present", "aspect"];
const images = data.images.map((row) => Object.fromEntries(FIELDS.map((f, i) => [f, row[i]])));
const $ = (selector, root = document) => root.querySelector(selector);
const form = $("#filter"), grid = $("#grid"), viewer = $("#viewer");
const layers = data.layers.map((name, i) => ({ name, i })).filter(({ i }) => images.some((m) => m.present[i]));
const GAP = 10, TEXT = 47, SIGNS = { "false positive": "fp", "false negative": "fn", "wrong class": "mixed",
  "right": "good", "agrees with its tags": "good", "tag without pixels": "fn", "class without its tag": "fp" };
let found = [], cells = new Map(), shape = {}, current = 0;

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}
const swatches = (pairs) => pairs.map(([text, colour]) => {
  const square = make("i", { className: "key" });
  square.style.background = colour;
  return make("span", {}, square, text);
});
const classes = (indices) => swatches(indices.map((i) => [data.classes[i], data.colours[i]]));
const names = (indices) => indices.map((i) => data.classes[i]).join(" ");
const shown = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));
// An id may be a path. Chromium refuses a slash that is written as %2F.
const file = (folder, image) => `${folder}/${image.id.split("/").map(encodeURIComponent).join("/")}.webp`;
// A strip holds all layers below each other; object-position shows one of them.
const place = (i, count) => `0 ${count > 1 ? (100 * i) / (count - 1) : 0}%`;

// --- filter and sort. The address keeps the choices, so that links of the page can set them.
function key(image, name) {
  if (name.startsWith("parts")) return image.parts[+name[5]] ?? null;
  return image[name] ?? null;
}
function select() {
  const want = Object.fromEntries(new FormData(form)), text = (want.id || "").toLowerCase();
  const low = want.low === "" ? -1 : +want.low, high = want.high === "" ? 101 : +want.high;
  const free = want.low === "" && want.high === "";
  found = images.filter((m) =>
    (!text || m.id.toLowerCase().includes(text)) &&
    (!want.class || m.tags.includes(+want.class) || m.classes.includes(+want.class)) &&
    (!want.split || m.split === want.split) &&
    (!want.kind || data.kinds[m.kind] === want.kind) &&
    (!want.failed || data.links[m.failed] === want.failed) &&
    (!want.several || m.tags.length > 1) &&
    (free || (m.score !== null && m.score >= low && m.score <= high)));
  const down = want.sort.startsWith("-"), field = down ? want.sort.slice(1) : want.sort;
  const keyed = found.map((m, i) => [key(m, field), i, m]);
  keyed.sort(([a, i], [b, j]) => {
    if (a === b) return i - j;
    if (a === null || b === null) return a === null ? 1 : -1;
    return (a < b ? -1 : 1) * (down ? -1 : 1);
  });
  found = keyed.map(([, , m]) => m);
  $("#count").textContent = `${found.length} of ${images.length} images`;
  const layer = data.layers[want.layer - 1];
  $("#legend").replaceChildren(...(layer === "errors" ? swatches(data.legend)
    : ["seed", "guide", "prediction", "truth"].includes(layer) ? classes(data.classes.map((_, i) => i).slice(1)) : []));
  current = 0;
  layout(true);
}
function remember() {
  const chosen = new URLSearchParams([...new FormData(form)].filter(([, v]) => v !== ""));
  history.replaceState(null, "", `#${chosen}`);
}
function recall() {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return;
  form.reset();
  for (const [name, value] of new URLSearchParams(hash)) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = true; else if (field) field.value = value;
  }
  select();
}

// --- the gallery draws only the rows in view
function layout(all = false) {
  const width = grid.clientWidth, columns = Math.max(2, Math.floor((width + GAP) / (168 + GAP)));
  const cell = Math.floor((width - GAP * (columns - 1)) / columns), row = Math.round(cell * 0.75) + TEXT + GAP;
  shape = { columns, cell, row };
  grid.style.height = `${Math.ceil(found.length / columns) * row}px`;
  for (const node of cells.values()) node.remove();
  cells.clear();
  if (all) grid.replaceChildren(...(found.length ? [] : [make("p", { className: "empty", textContent: "No image fits this filter." })]));
  paint();
}
function paint() {
  const top = -grid.getBoundingClientRect().top, { columns, row } = shape;
  const first = Math.max(0, Math.floor(top / row) - 2) * columns;
  const last = Math.min(found.length, Math.max(1, Math.floor((top + innerHeight) / row) + 3) * columns);
  for (const [i, node] of cells) {
    if ((i < first || i >= last) && node !== document.activeElement) { node.remove(); cells.delete(i); }
  }
  for (let i = first; i < last; i++) if (!cells.has(i)) { cells.set(i, draw(i)); grid.append(cells.get(i)); }
  if (!cells.has(current) && cells.has(first)) { current = first; cells.get(first).tabIndex = 0; } // Tab leads into view
}
function draw(i) {
  const m = found[i], { columns, cell, row } = shape, kind = data.kinds[m.kind], layer = +form.elements.layer.value;
  const tile = layer && !m.present[layer - 1] ? 0 : layer;
  const img = make("img", { src: file("thumbs", m), decoding: "async", alt: "", className: m.aspect > 4 / 3 ? "flat" : "tall" });
  img.style.aspectRatio = m.aspect;
  img.style.objectPosition = place(tile, data.layers.length + 1);
  const score = m.change === undefined ? shown(m.score) : `${shown(m.score)} (${m.change > 0 ? "+" : ""}${m.change.toFixed(1)})`;
  const node = make("button", { type: "button", className: "cell", title: kind, tabIndex: i === current ? 0 : -1 },
    make("span", { className: "frame" }, img),
    make("span", { className: "text" },
      make("span", {}, make("span", { className: "name", textContent: m.id }), make("b", { textContent: score })),
      make("span", {}, make("span", { className: "tags", textContent: names(m.tags) || "no tag" }), make("i", { className: `dot ${SIGNS[kind] || ""}` }))));
  node.setAttribute("aria-label", `${m.id}: ${names(m.tags)}; score ${shown(m.score)}; ${kind}`);
  node.style.cssText = `width:${cell}px;height:${row - GAP}px;transform:translate(${(i % columns) * (cell + GAP)}px,${Math.floor(i / columns) * row}px)`;
  node.dataset.i = i;
  return node;
}
function go(i) {
  if (!found.length) return;
  const before = cells.get(current);
  current = Math.min(Math.max(i, 0), found.length - 1);
  const y = grid.getBoundingClientRect().top + Math.floor(current / shape.columns) * shape.row;
  const above = form.getBoundingClientRect().bottom > 0 ? Math.max(60, getComputedStyle(form).position === "sticky" ? form.offsetHeight + 60 : 60) : 60;
  if (y < above) scrollBy(0, y - above); else if (y + shape.row > innerHeight) scrollBy(0, y + shape.row - innerHeight);
  paint();
  if (before) before.tabIndex = -1;
  const node = cells.get(current);
  node.tabIndex = 0;
  if (!viewer.open) node.focus({ preventScroll: true });
}
const STEPS = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: () => shape.columns, ArrowUp: () => -shape.columns,
  PageDown: () => shape.columns * 3, PageUp: () => -shape.columns * 3, Home: () => -found.length, End: () => found.length };

// --- one image: the slider goes through the layers
function open(i) {
  go(i);
  const m = found[current];
  if (!m) return;
  viewer.at = current;
  viewer.stops = [{ name: "image", i: -1 }, ...layers.filter((l) => m.present[l.i])];
  $("#name").textContent = m.id;
  $("#place").textContent = `${current + 1} of ${found.length}`;
  $("#photo").src = file("photos", m);
  for (const img of viewer.querySelectorAll(".stage img")) {
    const box = $(".stage"), tall = m.aspect < 4 / 3;
    img.style.cssText = `aspect-ratio:${m.aspect};${tall ? "height" : "width"}:100%;${img.id ? "" : "opacity:0"}`;
    if (!img.id) img.src = file("layers", m);
  }
  $("#slider").max = viewer.stops.length - 1;
  $("#stops").replaceChildren(...viewer.stops.map((stop, n) => make("button", { type: "button", textContent: stop.name, onclick: () => slide(n) })));
  $("#facts").replaceChildren(...facts(m));
  if (!viewer.open) viewer.showModal();
  const kept = viewer.stops.findIndex((s) => s.name === (viewer.layer ?? "prediction"));
  slide(kept < 0 ? viewer.stops.length - 1 : kept);
}
function slide(value) {
  const at = Math.min(Math.max(value, 0), viewer.stops.length - 1), low = Math.floor(at), part = at - low;
  $("#slider").value = at;
  const nearest = viewer.stops[Math.round(at)];
  if (nearest.name !== viewer.layer) viewer.layer = nearest.name;
  $("#slider").setAttribute("aria-valuetext", nearest.name);
  viewer.querySelectorAll(".layer").forEach((img, n) => {
    const stop = viewer.stops[low + n];
    img.style.opacity = !stop || stop.i < 0 ? 0 : n ? part : 1 - part;
    if (stop && stop.i >= 0) img.style.objectPosition = place(stop.i, data.layers.length);
  });
  [...$("#stops").children].forEach((b, n) => b.setAttribute("aria-pressed", n === Math.round(at)));
}
function bars(rows) {
  return make("ul", { className: "bars" }, ...rows.map(([name, value, css]) => {
    const fill = make("i");
    fill.style.cssText = `width:${value ?? 0}%;${css || ""}`;
    return make("li", {}, make("span", { textContent: name }), make("span", { className: "track" }, fill),
      make("span", { className: `n ${value !== null && value < 50 && !css ? "bad" : ""}`, textContent: shown(value) }));
  }));
}
function facts(m) {
  const h = (text) => make("h3", { textContent: text }), p = (text) => make("p", { textContent: text });
  const parts = ["right", "false positive", "false negative", "wrong class"];
  const css = ["", "background:var(--fp)", "background:var(--fn)", "background:var(--mixed)"];
  return [
    p(`Image of ${m.split}, score ${shown(m.score)}: ${data.kinds[m.kind]}${m.failed < 0 ? "" : `; fails first: ${data.links[m.failed]}`}`),
    make("p", { className: "swatches" }, "tags: ", ...classes(m.tags), m.tags.length ? "" : "none"),
    make("p", { className: "swatches" }, "labelled: ", ...classes(m.classes), m.classes.length ? "" : "nothing"),
    ...(viewer.stops.some((s) => s.name === "errors") ? [make("p", { className: "swatches small" }, "errors: ", ...swatches(data.legend.map(([t, c]) => [t.split(":")[0], c])))] : []),
    h("Each link on this image"),
    bars(data.links.map((name, i) => [name, m.values[i]]).filter(([, v]) => v !== null)),
    ...(m.parts.length ? [h("Object pixels of truth and label"), bars(parts.map((name, i) => [name, m.parts[i], css[i] || "background:var(--train)"]))] : []),
    ...(m.probable.length ? [h("The classifier says"), bars(m.probable.map(([k, v]) => [data.classes[k], v * 100, m.tags.includes(k) ? "background:var(--accent)" : "background:var(--train)"]))] : []),
  ];
}

// --- other reports: the scores of each link, and of each image
async function compare(files) {
  const runs = [];
  for (const chosen of files) {
    const block = new DOMParser().parseFromString(await chosen.text(), "text/html").getElementById("data");
    try { runs.push({ name: chosen.webkitRelativePath || chosen.name, ...JSON.parse(block.textContent) }); } catch { runs.push({ name: `${chosen.name}: not such a report` }); }
  }
  const valid = runs.filter((r) => r.run), cell = (tag, text) => make(tag, { textContent: text, className: tag === "td" ? "n" : "" });
  const row = (title, own, of) => make("tr", {}, cell("th", title), cell("td", shown(own)), ...valid.map((r) => cell("td",
    of(r) === undefined || own === undefined ? "–" : `${shown(of(r))} (${signed(own - of(r))})`)));
  $("#changes").replaceChildren(make("div", { className: "scroll" }, make("table", {},
    make("tr", {}, cell("th", "this page minus the other"), cell("th", "this page"), ...runs.map((r, n) => cell("th", `${n + 1}: ${r.name}`))),
    ...Object.entries(data.run.scores).map(([title, own]) => row(title, own, (r) => r.run.scores[title])),
    ...Object.entries(data.run.classes).map(([title, own]) => row(`IoU, ${title}`, own, (r) => r.run.classes[title])))));
  if (!valid.length) return;
  mark(valid[0].run.scores);
  const old = new Map(valid[0].images.map((r) => [r[0], r[3]]));
  for (const m of images) {
    const before = old.get(m.id);
    if (typeof before === "number" && m.score !== null) m.change = m.score - before; else delete m.change;
  }
  form.elements.sort.querySelector("[value=change]").disabled = false;
  layout();
}
const signed = (v) => `${v > 0 ? "+" : ""}${v.toFixed(1)}`;
function mark(before) {
  for (const text of document.querySelectorAll("[data-box]")) {
    const name = text.dataset.box, change = data.run.scores[name] - before[name];
    if (Number.isNaN(change)) continue;
    text.textContent = Math.abs(change) < 0.05 ? "±0" : signed(change);
    text.classList.toggle("up", change >= 0.05);
    text.classList.toggle("down", change <= -0.05);
  }
}

function since() { // the change since the run that this browser showed at this address before
  try {
    const name = `guidelabel ${location.pathname}`, now = JSON.stringify(data.run.scores);
    const seen = JSON.parse(localStorage.getItem(name)) || {};
    const before = seen.now && seen.now !== now ? seen.now : seen.before;
    localStorage.setItem(name, JSON.stringify({ now, before }));
    if (!before) return;
    mark(JSON.parse(before));
    $("#changes").textContent = "Beside a score: its change since the run that you last saw at this address.";
  } catch { /* the browser keeps nothing for files */ }
}

form.elements.layer.append(new Option("image", 0), ...layers.map((l) => new Option(l.name, l.i + 1)));
form.elements.layer.value = (layers.find((l) => l.name === "errors") ?? layers.findLast((l) => l.name !== "truth") ?? { i: -1 }).i + 1;
[...form.elements.layer.options].forEach((o) => { o.defaultSelected = o.selected; });
form.addEventListener("input", () => { select(); remember(); });
form.addEventListener("reset", () => setTimeout(() => { select(); remember(); }));
form.addEventListener("submit", (e) => e.preventDefault());
addEventListener("hashchange", () => { recall(); if (location.hash.includes("=")) $("#images").scrollIntoView(); });
addEventListener("scroll", paint, { passive: true });
new ResizeObserver(() => { if (grid.clientWidth !== shape.width) { shape.width = grid.clientWidth; layout(); shape.width = grid.clientWidth; } }).observe(grid);
grid.addEventListener("click", (e) => { const node = e.target.closest(".cell"); if (node) open(+node.dataset.i); });
grid.addEventListener("keydown", (e) => { if (STEPS[e.key]) { e.preventDefault(); go(current + STEPS[e.key]()); } });
grid.addEventListener("focusin", (e) => { if (e.target.dataset.i) current = +e.target.dataset.i; });
$("#slider").addEventListener("input", (e) => slide(+e.target.value));
viewer.addEventListener("keydown", (e) => {
  const at = Math.round(+$("#slider").value), steps = { ArrowRight: () => slide(at + 1), ArrowLeft: () => slide(at - 1), ArrowDown: () => open(current + 1), ArrowUp: () => open(current - 1) };
  if (steps[e.key]) { e.preventDefault(); steps[e.key](); }
});
viewer.addEventListener("close", () => go(viewer.at));
$("#before").onclick = () => open(current - 1);
$("#after").onclick = () => open(current + 1);
$("#close").onclick = () => viewer.close();
$("#others").addEventListener("change", (e) => compare(e.target.files));
$("#compare").hidden = false;
if (location.hash.includes("=")) recall(); else select();
since();
