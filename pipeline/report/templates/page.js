"use strict";
// The gallery, the viewer, and the comparison with other reports. All names are set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const FIELDS = ["id", "split", "tags", "score", "kind", "failed", "values", "parts", "classes", "probable", "present", "aspect", "apart"];
const images = data.images.map((row) => Object.fromEntries(FIELDS.map((f, i) => [f, row[i]])));
const $ = (selector, root = document) => root.querySelector(selector);
const form = $("#filter"), fields = form.elements, grid = $("#grid"), viewer = $("#viewer"), slider = $("#slider");
const layers = data.layers.map((name, i) => ({ name, i })).filter(({ i }) => images.some((m) => m.present[i]));
const GAP = 10, TEXT = 47, CLASSES = ["seed", "guide", "brought", "prediction", "truth"];
const SIGNS = { "false positive": "fp", "false negative": "fn", "wrong class": "mixed", "right": "good",
  "agrees with its tags": "good", "tag without pixels": "fn", "class without its tag": "fp" };
let found = [], cells = new Map(), shape = {}, current = 0, later = 0;

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}
const text = (tag, textContent, className = "") => make(tag, { textContent, className });
const swatches = (pairs) => pairs.map(([name, colour]) => {
  const square = make("i", { className: "key" });
  square.style.background = colour;
  return make("span", {}, square, name);
});
const classes = (indices) => swatches(indices.map((i) => [data.classes[i], data.colours[i]]));
const names = (indices) => indices.map((i) => data.classes[i]).join(" ");
const shown = (value) => value?.toFixed(1) ?? "–";
const signed = (v) => `${v > 0 ? "+" : ""}${v.toFixed(1)}`;
// An id may be a path. Chromium refuses a slash that is written as %2F.
const file = (folder, image) => `${folder}/${image.id.split("/").map(encodeURIComponent).join("/")}.webp`;
// A strip holds all layers below each other; object-position shows one of them.
const place = (i, count) => `0 ${count > 1 ? (100 * i) / (count - 1) : 0}%`;

// --- filter and sort. The address keeps the choices, so that links of the page can set them.
function select() {
  const want = Object.fromEntries(new FormData(form)), name = want.id.toLowerCase();
  const sign = want.sort.startsWith("-") ? -1 : 1, by = want.sort.replace("-", "");
  const value = (m) => (by.startsWith("parts") ? m.parts[by[5]] : m[by]) ?? null;
  found = images.filter((m) =>
    m.id.toLowerCase().includes(name) &&
    (!want.class || m.tags.includes(+want.class) || m.classes.includes(+want.class)) &&
    (!want.split || m.split === want.split) &&
    (!want.kind || data.kinds[m.kind] === want.kind) &&
    (!want.failed || data.links[m.failed] === want.failed) &&
    (!want.several || m.tags.length > 1) &&
    (!(want.low || want.high) || (m.score !== null && m.score >= (want.low || 0) && m.score <= (want.high || 100)))
  ).sort((m, n) => {
    const a = value(m), b = value(n);
    if (a === null || b === null) return (a === null) - (b === null);
    return a < b ? -sign : a > b ? sign : 0;
  });
  const layer = data.layers[want.layer - 1];
  $("#count").textContent = `${found.length} of ${images.length} images`;
  $("#legend").replaceChildren(...(layer === "errors" ? swatches(data.legend)
    : CLASSES.includes(layer) ? classes([...data.classes.keys()].slice(1)) : []));
  $("#empty").hidden = found.length > 0;
  current = 0;
  layout();
}
const remember = () => history.replaceState(null, "", `#${new URLSearchParams([...new FormData(form)].filter(([, v]) => v))}`);
function recall() {
  form.reset();
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const field = fields[name];
    if (field?.type === "checkbox") field.checked = true; else if (field) field.value = value;
    // A list names what occurs on this page. A link to anything else selects it too, and so shows no image.
    if (field?.options?.[0].value === "" && field.value !== value) field.append(new Option(`${value} (0)`, value, false, true));
  }
  select();
}

// --- the gallery draws only the rows in view
function layout() {
  const width = grid.clientWidth, columns = Math.max(2, Math.floor((width + GAP) / (168 + GAP)));
  const cell = Math.floor((width - GAP * (columns - 1)) / columns), row = Math.round(cell * 0.75) + TEXT + GAP;
  shape = { width, columns, cell, row };
  grid.style.height = `${Math.ceil(found.length / columns) * row}px`;
  grid.replaceChildren();
  cells.clear();
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
  const fast = Math.abs(top - shape.top) > innerHeight / 4; // no pictures for rows that rush by
  shape.top = top;
  clearTimeout(later);
  if (fast) later = setTimeout(load, 200); else load();
}
function load() {
  for (const [i, node] of cells) if (!$("img", node).src) $("img", node).src = file("thumbs", found[i]);
}
function draw(i) {
  const m = found[i], { columns, cell, row } = shape, kind = data.kinds[m.kind], layer = +fields.layer.value;
  const node = $("#cell").content.firstElementChild.cloneNode(true), img = $("img", node);
  img.className = m.aspect > 4 / 3 ? "flat" : "tall";
  img.style.cssText = `aspect-ratio:${m.aspect};object-position:${place(m.present[layer - 1] ? layer : 0, data.layers.length + 1)}`;
  $(".name", node).textContent = m.id;
  $("b", node).textContent = shown(m.score) + (m.change === undefined ? "" : ` (${signed(m.change)})`);
  $(".tags", node).textContent = names(m.tags) || "no tag";
  $(".dot", node).classList.add(SIGNS[kind] ?? "other");
  node.setAttribute("aria-label", `${m.id}: ${names(m.tags)}; score ${shown(m.score)}; ${kind}`);
  node.style.cssText = `width:${cell}px;height:${row - GAP}px;transform:translate(${(i % columns) * (cell + GAP)}px,${Math.floor(i / columns) * row}px)`;
  node.dataset.i = i;
  return Object.assign(node, { title: kind, tabIndex: i === current ? 0 : -1 });
}
function go(i) {
  if (!found.length) return;
  const before = cells.get(current);
  current = Math.min(Math.max(i, 0), found.length - 1);
  const y = grid.getBoundingClientRect().top + Math.floor(current / shape.columns) * shape.row;
  const above = 60 + (getComputedStyle(form).position === "sticky" ? form.offsetHeight : 0);
  if (y < above) scrollBy(0, y - above); else if (y + shape.row > innerHeight) scrollBy(0, y + shape.row - innerHeight);
  paint();
  if (before) before.tabIndex = -1;
  cells.get(current).tabIndex = 0;
  if (!viewer.open) cells.get(current).focus({ preventScroll: true });
}
const STEPS = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: () => shape.columns, ArrowUp: () => -shape.columns,
  PageDown: () => shape.columns * 3, PageUp: () => -shape.columns * 3, Home: () => -found.length, End: () => found.length };

// --- one image: the slider goes through the layers
function open(i) {
  go(i);
  const m = found[current];
  if (!m) return;
  viewer.at = current; // the browser moves the focus when the viewer closes
  viewer.stops = [{ name: "image", i: -1 }, ...layers.filter((l) => m.present[l.i])];
  $("#name").textContent = m.id;
  $("#place").textContent = `${current + 1} of ${found.length}`;
  for (const img of viewer.querySelectorAll(".stage img")) {
    img.style.cssText = `aspect-ratio:${m.aspect};width:min(100cqw, 100cqh * ${m.aspect})`;
    img.src = file(img.id ? "photos" : "layers", m);
  }
  slider.max = viewer.stops.length - 1;
  $("#stops").replaceChildren(...viewer.stops.map((stop, n) => make("button", { type: "button", textContent: stop.name, onclick: () => slide(n) })));
  $("#facts").replaceChildren(...facts(m));
  if (!viewer.open) viewer.showModal();
  const kept = viewer.stops.findIndex((s) => s.name === (viewer.layer ?? "prediction"));
  slide(kept < 0 ? viewer.stops.length - 1 : kept);
}
function slide(value) {
  const at = Math.min(Math.max(value, 0), viewer.stops.length - 1), low = Math.floor(at), nearest = Math.round(at);
  slider.value = at;
  viewer.layer = viewer.stops[nearest].name;
  slider.setAttribute("aria-valuetext", viewer.layer);
  viewer.querySelectorAll(".layer").forEach((img, n) => {
    const i = viewer.stops[low + n]?.i ?? -1;
    img.style.opacity = i < 0 ? 0 : n ? at - low : 1 - (at - low);
    img.style.objectPosition = place(Math.max(i, 0), data.layers.length);
  });
  [...$("#stops").children].forEach((b, n) => b.setAttribute("aria-pressed", n === nearest));
}
function bars(title, rows) {
  return rows.length ? [text("h3", title), make("ul", { className: "bars" }, ...rows.map(([name, value, colour]) => {
    const fill = make("i");
    fill.style.cssText = `width:${value}%;${colour ? `background:var(--${colour})` : ""}`;
    return make("li", {}, text("span", name), make("span", { className: "track" }, fill),
      text("span", shown(value), value < 50 && !colour ? "n bad" : "n"));
  }))] : [];
}
function facts(m) {
  const parts = [["right", "train"], ["false positive", "fp"], ["false negative", "fn"], ["wrong class", "mixed"]];
  const line = (title, keys, none) => make("p", { className: "swatches" }, `${title}: `, ...keys, keys.length ? "" : none);
  const errors = viewer.stops.some((s) => s.name === "errors") ? data.legend : [];
  return [
    text("p", `Image of ${m.split}, score ${shown(m.score)}: ${data.kinds[m.kind]}${m.failed < 0 ? "" : `; fails first: ${data.links[m.failed]}`}`),
    line("tags", classes(m.tags), "none"),
    line("labelled", classes(m.classes), "nothing"),
    ...(m.apart === null ? [] : [text("p", `guide label and brought mask disagree on ${shown(m.apart)} % of the pixels`)]),
    ...(errors.length ? [line("errors", swatches(errors.map(([name, colour]) => [name.split(":")[0], colour])))] : []),
    ...bars("Each link on this image", data.links.map((name, i) => [name, m.values[i]]).filter(([, v]) => v !== null)),
    ...bars("Object pixels of truth and label", m.parts.map((v, i) => [parts[i][0], v, parts[i][1]])),
    ...bars("The classifier says", m.probable.map(([k, v]) => [data.classes[k], v * 100, m.tags.includes(k) ? "accent" : "train"])),
  ];
}

// --- other reports: the scores of each link, and of each image
function parse(html, name) {
  try { return { name, ...JSON.parse(new DOMParser().parseFromString(html, "text/html").getElementById("data").textContent) }; }
  catch { return { name: `${name}: not such a report` }; }
}
async function compare(files) {
  const runs = await Promise.all([...files].map(async (f) => parse(await f.text(), f.webkitRelativePath || f.name)));
  const valid = runs.filter((r) => r.run);
  const apart = (own, other) => (other === undefined ? "–" : `${shown(other)} (${signed(own - other)})`);
  const rows = (kind, before) => Object.entries(data.run[kind]).map(([title, own]) => make("tr", {}, text("th", before + title),
    text("td", shown(own), "n"), ...valid.map((r) => text("td", apart(own, r.run[kind][title]), "n"))));
  const head = ["this page minus the other", "this page", ...runs.map((r, n) => `${n + 1}: ${r.name}`)];
  $("#changes").replaceChildren(make("div", { className: "scroll" }, make("table", {},
    make("tr", {}, ...head.map((title) => text("th", title))), ...rows("scores", ""), ...rows("classes", "IoU, "))));
  if (!valid.length) return;
  mark(valid[0].run.scores);
  const old = new Map(valid[0].images.map((row) => [row[FIELDS.indexOf("id")], row[FIELDS.indexOf("score")]]));
  for (const m of images) m.change = m.score === null || typeof old.get(m.id) !== "number" ? undefined : m.score - old.get(m.id);
  $("[value=change]", fields.sort).disabled = false;
  layout();
}
function mark(before) {
  for (const node of document.querySelectorAll("[data-box]")) {
    const change = data.run.scores[node.dataset.box] - before[node.dataset.box];
    if (Number.isNaN(change)) continue;
    node.textContent = Math.abs(change) < 0.05 ? "±0" : signed(change);
    node.classList.toggle("up", change >= 0.05);
    node.classList.toggle("down", change <= -0.05);
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

fields.layer.append(new Option("image", 0), ...layers.map((l) => new Option(l.name, l.i + 1)));
fields.layer.value = (layers.find((l) => l.name === "errors") ?? layers.findLast((l) => l.name !== "truth") ?? { i: -1 }).i + 1;
for (const option of fields.layer.options) option.defaultSelected = option.selected;
const update = () => { select(); remember(); };
form.addEventListener("input", update);
form.addEventListener("reset", () => setTimeout(update));
form.addEventListener("submit", (e) => e.preventDefault());
addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); $("#images").scrollIntoView(); } });
addEventListener("scroll", paint, { passive: true });
new ResizeObserver(() => { if (grid.clientWidth !== shape.width) layout(); }).observe(grid);
grid.addEventListener("click", (e) => { const node = e.target.closest(".cell"); if (node) open(+node.dataset.i); });
grid.addEventListener("keydown", (e) => { if (STEPS[e.key]) { e.preventDefault(); go(current + STEPS[e.key]()); } });
grid.addEventListener("focusin", (e) => { if (e.target.dataset.i) current = +e.target.dataset.i; });
slider.addEventListener("input", () => slide(+slider.value));
viewer.addEventListener("keydown", (e) => {
  const at = Math.round(slider.value);
  const move = { ArrowRight: () => slide(at + 1), ArrowLeft: () => slide(at - 1), ArrowDown: () => open(current + 1), ArrowUp: () => open(current - 1) }[e.key];
  if (move) { e.preventDefault(); move(); }
});
viewer.addEventListener("close", () => go(viewer.at));
$("#before").onclick = () => open(current - 1);
$("#after").onclick = () => open(current + 1);
$("#close").onclick = () => viewer.close();
$("#others").addEventListener("change", (e) => compare(e.target.files));
$("#compare").hidden = false;
if (location.hash.includes("=")) recall(); else select();
since();
