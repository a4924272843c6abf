"use strict";
const set = JSON.parse(document.getElementById("set").textContent);
const $ = (id) => document.getElementById(id);
const PREFIX = `blpo-label:${set.id}:`;

// ---- storage: labels of one annotator under one key, in this browser only
const memory = new Map();
const storage = (() => {
  try {
    localStorage.setItem("blpo-label", "1");
    return {
      get: (key) => localStorage.getItem(key),
      put: (key, value) => localStorage.setItem(key, value),
      keys: () => Object.keys(localStorage),
    };
  } catch {
    $("no-storage").hidden = false;
    return {
      get: (key) => memory.get(key) ?? null,
      put: (key, value) => memory.set(key, value),
      keys: () => [...memory.keys()],
    };
  }
})();
const raters = () =>
  storage.keys().filter((k) => k.startsWith(PREFIX)).map((k) => k.slice(PREFIX.length)).sort();
const load = (rater) =>
  JSON.parse(storage.get(PREFIX + rater) ?? '{"rows": {}, "undo": []}');
const save = () => {
  try {
    storage.put(PREFIX + rater, JSON.stringify(state));
  } catch {
    say("This browser has no room left for your labels: export them now.", true);
  }
};

// ---- an order of its own for each annotator, the same each time
const hash = (text) => {
  let h = 2166136261;
  for (const unit of text) h = Math.imul(h ^ unit.codePointAt(0), 16777619);
  h = Math.imul(h ^ (h >>> 16), 2246822507);
  h = Math.imul(h ^ (h >>> 13), 3266489909);
  return (h ^ (h >>> 16)) >>> 0;
};
const ordered = (name) =>
  set.items
    .map((item, index) => ({ item, index, rank: hash(`${set.id}|${name}|${item.key}`) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index);
const isTurned = (entry) =>
  set.pairs && hash(`side|${set.id}|${rater}|${entry.item.key}`) % 2 === 1;

let rater = "";
let state = { rows: {}, undo: [] };
let order = [];
let at = 0;
let reviewing = false;

const rowOf = (entry) => state.rows[entry.item.key] ?? { label: null, comment: "" };
const isLabelled = (entry) => rowOf(entry).label !== null;
const numLabelled = () => order.filter(isLabelled).length;
const MEANT = { left: ["A", "B"], right: ["B", "A"] };
const labelOf = (choice, entry) =>
  MEANT[choice.side] ? MEANT[choice.side][isTurned(entry) ? 1 : 0] : choice.label;

function say(text, isWarning = false) {
  $("said").textContent = text;
  $("said").className = isWarning ? "warning" : "";
}

// A command below what was said, and a button that copies it, where the browser allows it.
function sayCommand(command) {
  const block = document.createElement("pre");
  const button = document.createElement("button");
  block.textContent = command;
  button.type = "button";
  button.id = "copy";
  button.textContent = "Copy";
  button.onclick = () => {
    getSelection().selectAllChildren(block);
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected: copy it";
  };
  $("said").append(block, button);
}

function sayKeys(key) {
  const labels = set.choices.map((choice) => `${choice.key} ${choice.shown}`).join(", ");
  say(`${key} is no label. Keys: ${labels}; u undo, ← back, → later, c comment.`, true);
}

// ---- screens
function show(name) {
  for (const id of ["start", "work", "done"]) $(id).hidden = id !== name;
  document.body.dataset.screen = name;
  $("who").hidden = name === "start";
  const others = raters().filter((other) => other !== rater);
  $("others").replaceChildren();
  if (name !== "start" && others.length) {
    const button = document.createElement("button");
    button.type = "button";
    button.id = "export-all";
    button.textContent = "Export all as one csv";
    button.onclick = () => download(raters());
    $("others").append(`Also in this browser: ${others.join(", ")}. `, button);
  }
}

function begin(name) {
  rater = name;
  state = load(rater);
  order = ordered(rater);
  reviewing = false;
  $("rater").textContent = rater;
  say("");
  advance(-1);
}

function advance(from) {
  // The next image without a label, from here on and then from the start.
  const places = order.map((_, i) => (from + 1 + i) % order.length);
  const free = places.find((place) => !isLabelled(order[place]));
  if (reviewing && from + 1 < order.length) draw(from + 1);
  else if (free === undefined) finish();
  else draw(free);
}

function draw(place) {
  at = place;
  const entry = order[at];
  const row = rowOf(entry);
  show("work");
  const done = numLabelled();
  const kind = set.pairs ? "Pair" : set.names.length ? "Example" : "Image";
  $("bar").style.width = `${(100 * done) / order.length}%`;
  $("progress").setAttribute("aria-valuemax", order.length);
  $("progress").setAttribute("aria-valuenow", done);
  $("place").textContent = `${kind} ${at + 1} of ${order.length}, ${done} labelled`;
  $("text").hidden = !entry.item.text;
  $("text").textContent = entry.item.text ?? "";
  const sources = entry.item.images.map((n) => $(`image-${n}`).textContent);
  if (isTurned(entry)) sources.reverse();
  $("images").className = set.names.length ? "several" : "";
  $("images").replaceChildren(...sources.map((source, i) => figure(source, i)));
  for (const [i, choice] of set.choices.entries()) {
    const button = $("labels").children[i];
    const isChosen = row.label === labelOf(choice, entry);
    button.classList.toggle("chosen", isChosen);
    button.setAttribute("aria-pressed", isChosen);
  }
  $("comment").value = row.comment;
  $("undo").disabled = state.undo.length === 0;
  $("back").disabled = at === 0;
}

function figure(source, i) {
  const box = document.createElement("figure");
  const image = document.createElement("img");
  image.src = source;
  const name = set.names[i];
  image.alt = name ? `${name[0].toUpperCase()}${name.slice(1)} image` : "The image to label";
  box.append(image);
  if (name) {
    const caption = document.createElement("figcaption");
    caption.textContent = name;
    box.append(caption);
  }
  return box;
}

function finish() {
  reviewing = false;
  show("done");
  const counts = new Map(set.labels.map((label) => [label, 0]));
  for (const entry of order) counts.set(rowOf(entry).label, counts.get(rowOf(entry).label) + 1);
  $("counts").replaceChildren(
    ...[...counts].map(([label, count]) => {
      const row = document.createElement("tr");
      for (const text of [label, count]) row.insertCell().textContent = text;
      return row;
    }),
  );
}

// ---- what an annotator does
function keepComment() {
  if ($("work").hidden) return;
  const entry = order[at];
  const row = rowOf(entry);
  if (row.comment === $("comment").value) return;
  state.rows[entry.item.key] = { ...row, comment: $("comment").value };
  save();
}

function choose(choice) {
  const entry = order[at];
  keepComment();
  state.undo.push([entry.item.key, rowOf(entry)]);
  state.rows[entry.item.key] = { ...rowOf(entry), label: labelOf(choice, entry) };
  save();
  say("");
  advance(at);
}

function undo() {
  if (!state.undo.length) return;
  keepComment();
  const [key, row] = state.undo.pop();
  state.rows[key] = { ...row, comment: rowOf({ item: { key } }).comment };
  save();
  draw(order.findIndex((entry) => entry.item.key === key));
  say("Taken back.");
}

function step(by) {
  keepComment();
  if (at + by < 0) return;
  if (at + by < order.length) draw(at + by);
  else if (numLabelled() === order.length) finish();
  else draw(order.findIndex((entry) => !isLabelled(entry)));
}

// ---- csv: the images and the text, as the table has them; rater, label, comment
const cell = (value) => {
  const text = String(value ?? "");
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function csv(names) {
  const lines = [set.columns.join(",")];
  for (const name of names) {
    const rows = load(name).rows;
    for (const item of set.items) {
      const row = rows[item.key];
      if (!row || row.label === null) continue;
      const values = { ...item.cells, rater: name, label: row.label, comment: row.comment };
      lines.push(set.columns.map((column) => cell(values[column])).join(","));
    }
  }
  return lines.join("\r\n") + "\r\n";
}

const hasLabel = (name) => Object.values(load(name).rows).some((row) => row.label !== null);

function download(names) {
  keepComment();
  if (!names.some(hasLabel)) {
    say("Nothing is labelled yet, so nothing was saved.", true);
    return;
  }
  const link = document.createElement("a");
  const left = order.filter((entry) => !isLabelled(entry) && rowOf(entry).comment).length;
  const who = names.length === 1 ? names[0].replace(/[^\p{L}\p{N}_-]+/gu, "-") : "all";
  link.download = `labels-${set.task}-${who}.csv`;
  // The mark at the start tells spreadsheets that this is UTF-8.
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(names)], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const missing = left ? ` Comments on images without a label are not in it: ${left}.` : "";
  say(`Saved ${link.download}.${missing} Next:`);
  sayCommand(set.next.replace("LABELS.csv", link.download));
}

// ---- wiring
for (const choice of set.choices) {
  const button = document.createElement("button");
  const key = document.createElement("kbd");
  button.type = "button";
  key.textContent = choice.key;
  button.append(`${choice.shown} `, key);
  button.setAttribute("aria-keyshortcuts", choice.key);
  button.onclick = () => choose(choice);
  $("labels").append(button);
}
$("known").replaceChildren(
  ...raters().map((name) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  }),
);
$("start").onsubmit = (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name) begin(name);
};
$("leave").onclick = () => {
  keepComment();
  show("start");
  $("name").value = "";
  $("name").focus();
};
$("undo").onclick = undo;
$("back").onclick = () => step(-1);
$("next").onclick = () => step(1);
$("review").onclick = () => {
  reviewing = true;
  draw(0);
};
for (const button of document.querySelectorAll(".export")) button.onclick = () => download([rater]);
$("comment").onchange = keepComment;
// As in label.css: a narrow page shows no keys.
const narrow = matchMedia("(max-width: 600px)");
narrow.onchange = () => ($("comment").placeholder = narrow.matches ? "Comment" : "Comment (c)");
narrow.onchange();
addEventListener("pagehide", keepComment);
addEventListener("storage", (event) => {
  // The same annotator in another tab.
  if (!rater || event.key !== PREFIX + rater) return;
  state = load(rater);
  if (!$("work").hidden) draw(at);
});

addEventListener("keydown", (event) => {
  if ($("work").hidden || event.altKey || event.metaKey) return;
  if (event.target === $("comment")) {
    if (event.key === "Enter" || event.key === "Escape") {
      $("comment").blur();
      event.preventDefault();
    }
    return;
  }
  if (event.ctrlKey && event.key !== "z") return;
  const choice = set.choices.find((one) => one.key === event.key.toLowerCase());
  if (choice && !event.ctrlKey) choose(choice);
  else if (event.key === "u" || event.key === "z" || event.key === "Backspace") undo();
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key === "c") $("comment").focus();
  else {
    if (event.key.length === 1 && event.key !== " ") sayKeys(event.key);
    return;
  }
  event.preventDefault();
});
