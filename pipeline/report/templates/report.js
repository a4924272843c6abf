"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const $ = (id) => document.getElementById(id);

// ---- commands name this run's folder where the page still lies in it
const folder = /^file:\/\/(\/.+)\/report\.html$/.exec(location.href.split(/[?#]/)[0]);
if (folder) {
  const path = decodeURIComponent(folder[1]);
  const word = /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
  for (const place of all(".run")) place.textContent = word;
  for (const note of all(".unless-placed")) note.remove();
}

// ---- copy buttons
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}
for (const block of all("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${block.dataset.copy}`);
  button.onclick = async () => {
    button.textContent = (await copy(block.textContent)) ? "Copied" : "Select it and copy by hand";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  block.after(button);
}

// ---- tables: a heading beside each cell for narrow pages, and keys for what scrolls
for (const table of all(".scroll > table:not(.matrix)")) {
  const headings = all("thead th", table).map((heading) => heading.textContent);
  for (const row of all("tbody tr", table))
    [...row.cells].forEach((cell, i) => (cell.dataset.heading = headings[i] ?? ""));
  table.classList.add("stacked");
}
function reachScrolled() {
  for (const box of all(".scroll"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
}
addEventListener("resize", reachScrolled);
reachScrolled();

// ---- gallery: filters, order, keys
const gallery = $("cases");
const form = document.querySelector(".filters");
const cards = all(".card", gallery);
const AT_FIRST = matchMedia("screen and (max-width: 40rem)").matches ? 8 : 24;
let outcome = "";
let wanted = cards;
let limit = AT_FIRST;

// What `blpo decide` has come to stands beside its plot, as it was decided after the page was made.
const decided = $("decided");
if (decided) {
  const acts = new Set(decided.dataset.acts.split(" "));
  for (const card of cards) {
    card.dataset.decision = acts.has(card.dataset.place) ? "act" : "abstain";
    const told = document.createElement("span");
    told.className = "decision";
    told.textContent = card.dataset.decision;
    card.querySelector(".outcome").append(" ", told);
  }
  const select = document.createElement("select");
  select.name = "decision";
  select.append(new Option("any", ""), new Option("act"), new Option("abstain"));
  const label = document.createElement("label");
  label.append("decision ", select);
  form.querySelector("[role=status]").before(label);
}
const chosen = (name) => form.elements[name]?.value ?? "";

const clear = document.createElement("button");
clear.type = "button";
clear.textContent = "Clear filters";
form.querySelector("[role=status]").after(clear);

function isWanted({ dataset }) {
  const [least, below] = (chosen("confidence") || ",").split(",");
  const rightUnder = (dataset.right ?? "").split(" ");
  return (
    (!outcome || dataset.outcome === outcome) &&
    ["human", "verdict", "decision"].every((name) => !chosen(name) || dataset[name] === chosen(name)) &&
    (!chosen("right") || rightUnder.includes(chosen("right"))) &&
    (!least || (dataset.confidence >= Number(least) && dataset.confidence < Number(below))) &&
    (!form.elements.disputed?.checked || "disputed" in dataset)
  );
}

function arrange() {
  const sign = Number(chosen("order"));
  const rank = (card) => sign * Number(card.dataset.confidence ?? (sign > 0 ? 2 : -2));
  const ordered = sign ? [...cards].sort((a, b) => rank(a) - rank(b)) : cards;
  gallery.append(...ordered);
  wanted = ordered.filter(isWanted);
  form.querySelector("[role=status]").textContent =
    wanted.length === cards.length ? "" : `${wanted.length} of ${cards.length} match`;
  clear.hidden = wanted.length > 0;
  draw(AT_FIRST);
  reach(wanted[0]);
}

function draw(most) {
  limit = most;
  const drawn = new Set(wanted.slice(0, limit));
  for (const card of cards) card.hidden = !drawn.has(card);
  $("more").hidden = wanted.length <= limit;
  $("more").textContent = `Show ${Math.min(100, wanted.length - limit)} more`;
}

function reach(card) {
  if (wanted.indexOf(card) >= limit) draw(limit + 100);
  for (const other of cards) other.tabIndex = other === card ? 0 : -1;
}

form.hidden = cards.length === 0;
$("more").onclick = () => draw(limit + 100);
form.onsubmit = (event) => event.preventDefault();
form.onchange = arrange;
for (const button of all("[data-outcome]", form)) button.onclick = () => narrowTo(button);
function narrowTo(button) {
  outcome = button.dataset.outcome;
  for (const other of all("[data-outcome]", form))
    other.setAttribute("aria-pressed", other === button);
  arrange();
}
clear.onclick = () => {
  const order = chosen("order");
  form.reset();
  if (form.elements.order) form.elements.order.value = order;
  const button = form.querySelector("[data-outcome='']");
  narrowTo(button);
  button.focus();
};

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const beside = (card, step) => wanted[wanted.indexOf(card) + step];
gallery.onkeydown = (event) => {
  const card = event.target;
  if (!card.matches(".card") || event.ctrlKey || event.metaKey || event.altKey) return;
  const next = beside(card, STEPS[event.key] ?? 0);
  if (event.key === "Enter") enlarge(card);
  else if (next && next !== card) focusOn(next);
  else return;
  event.preventDefault();
};
// Up and down scroll a page on which nothing has focus.
document.onkeydown = (event) => {
  const isFree = event.target === document.body || event.target.matches(".filters button");
  if (!isFree || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const first = wanted.find((card) => card.tabIndex === 0);
  if (!first || (event.key !== "ArrowRight" && event.key !== "ArrowLeft")) return;
  focusOn(first);
  event.preventDefault();
};
function focusOn(card) {
  reach(card);
  card.focus();
}

// ---- one image, enlarged
const viewer = $("viewer");
let current;
function enlarge(card) {
  current = card;
  reach(card);
  const copied = card.cloneNode(true);
  copied.removeAttribute("tabindex");
  for (const fold of all("details", copied)) fold.open = true;
  $("enlarged").replaceChildren(copied);
  $("earlier").disabled = !beside(card, -1);
  $("later").disabled = !beside(card, 1);
  if (!viewer.open) viewer.showModal();
}
function turn(step) {
  const next = beside(current, step);
  if (next) enlarge(next);
}
gallery.onclick = (event) => {
  if (event.target.matches(".thumb img")) enlarge(event.target.closest(".card"));
};
$("earlier").onclick = () => turn(-1);
$("later").onclick = () => turn(1);
$("close").onclick = () => viewer.close();
viewer.onclose = () => current.focus();
viewer.onkeydown = (event) => {
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  event.preventDefault();
  turn(STEPS[event.key]);
};
arrange();
