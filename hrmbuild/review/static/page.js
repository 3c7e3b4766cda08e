// The review page: shows one pair at a time, listens to keys, and asks the server for everything else.
// Texts are documents' words: they enter the page as text nodes only. Nothing is kept here; a reload asks again.
"use strict";

const at = (name) => document.getElementById(name);
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0]/gu;
const DONE = { accept: "accepted", reject: "rejected", edit: "edited" };
const visit = { pairs: [], states: [], place: 0, shown: null, form: null, busy: false };

// --- texts ---

function show(node, text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (found[0] === "\n" || found[0] === "\t") continue;
    parts.push(text.slice(from, found.index), mark(found[0]));
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  node.replaceChildren(...parts);
}

function mark(letter) {
  const code = letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return element("span", "hidden-letter", `U+${code}`);
}

function element(kind, name, text = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  show(made, text);
  return made;
}

function say(text) {
  show(at("live"), text);
}

// --- the server ---

async function ask(path, choice) {
  const options = { cache: "no-store", credentials: "omit" };
  if (choice) Object.assign(options, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(choice),
  });
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The review has ended, or the way to it is cut: see the terminal. What was decided is kept.");
  }
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(value.error ? told(value.error) : `The server answers ${answer.status}.`);
  return value;
}

function told(error) {
  return [`${error.what} (${error.code})`, error.fix].filter(Boolean).join(": ");
}

// --- one pair ---

async function go(place, { focus = true } = {}) {
  visit.place = Math.max(0, Math.min(place, visit.pairs.length - 1));
  const name = visit.pairs[visit.place];
  const pair = await ask(`api/pairs/${name}`);
  if (visit.pairs[visit.place] !== name) return;
  visit.shown = pair;
  draw();
  if (focus) { at("pair").focus({ preventScroll: true }); window.scrollTo(0, 0); }
}

function draw() {
  const pair = visit.shown;
  show(at("title"), `Pair ${visit.place + 1} of ${visit.pairs.length}`);
  for (const name of ["instruction", "response", "answer"]) show(at(name), pair[name]);
  for (const name of ["instruction", "response"]) at(name).scrollTop = 0;
  drawState(pair);
  at("facts").replaceChildren(...Object.entries(pair.facts).map(([name, value]) => {
    const line = element("div", "");
    line.append(element("dt", "", name), element("dd", "", value));
    return line;
  }));
  at("evidence").replaceChildren(...pair.evidence.map(drawEvidence));
}

function drawState(pair) {
  at("state").className = `state ${pair.state || ""}`;
  show(at("state"), pair.state ? DONE[pair.state] : "not decided");
  at("told").hidden = !(pair.state && pair.reason);
  show(at("told"), `Reason: ${pair.reason}`);
  at("do-undo").disabled = !pair.state;
  at("rewritten").hidden = pair.state !== "edit" || !pair.edited;
  if (pair.edited) {
    show(at("new-instruction"), pair.edited.instruction);
    show(at("new-response"), pair.edited.response);
  }
}

function drawEvidence(one) {
  const box = element("article", "");
  box.append(element("h3", "", `${one.path} · ${one.place}`));
  box.append(textBox(one.text, `text of ${one.path}`));
  if (one.query) box.append(element("h3", "", "Query that was run"), textBox(one.query, "query", "text query"));
  if (one.inputs && Object.keys(one.inputs).length) box.append(element("h3", "", "What the rules were given"), inputs(one.inputs));
  box.append(element("p", "small", `asked with ${one.template}`));
  return box;
}

function textBox(text, name, look = "text") {
  const box = element("div", look, text);
  box.dir = "auto";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", name);
  return box;
}

function inputs(values) {
  const table = element("table", "");
  for (const [name, value] of Object.entries(values)) {
    const row = element("tr", "");
    const head = element("th", "", name);
    head.scope = "row";
    row.append(head, element("td", "", value));
    table.append(row);
  }
  return table;
}

function drawCounts(counts) {
  const done = visit.states.filter(Boolean).length;
  at("bar").max = visit.pairs.length;
  at("bar").value = done;
  show(at("counts"), `${done}/${visit.pairs.length} · ${counts.accept} accepted · ${counts.reject} rejected · ${counts.edit} edited`);
}

// --- deciding ---

async function decide(action, more = {}) {
  if (visit.busy || !visit.shown) return false;
  visit.busy = true;
  try {
    const place = visit.place;
    const done = await ask("api/decisions", { pair: visit.shown.id, action, ...more });
    visit.states[place] = done.state;
    drawCounts(done.counts);
    await after(action, place);
    return true;
  } finally {
    visit.busy = false;
  }
}

async function after(action, place) {
  const what = action === "undo" ? "Undone" : `${DONE[action][0].toUpperCase()}${DONE[action].slice(1)}`;
  if (action === "undo") {
    await go(place);
    return say(`${what}: pair ${place + 1} is not decided.`);
  }
  const next = undecided(place);
  await go(next < 0 ? place : next);
  say(next < 0 ? `${what}. Every pair of this visit is decided: end with Ctrl-C in the terminal.`
    : `${what}. Pair ${visit.place + 1} of ${visit.pairs.length}.`);
}

function undecided(place) {
  const n = visit.pairs.length;
  for (let step = 1; step <= n; step += 1) if (!visit.states[(place + step) % n]) return (place + step) % n;
  return -1;
}

function openForm(action) {
  if (!visit.shown || visit.form) return;
  visit.form = action;
  const last = visit.shown.state === "edit" && visit.shown.edited ? visit.shown.edited : visit.shown;
  show(at("form-name"), action === "edit" ? "Edit this pair" : "Reject this pair");
  at("texts").hidden = action !== "edit";
  for (const name of ["instruction", "response", "answer"]) at(`edit-${name}`).value = last[name];
  show(at("submit"), action === "edit" ? "Keep the edit (Ctrl+Enter)" : "Reject (Enter)");
  at("reason").value = "";
  at("problem").textContent = "";
  at("form").hidden = false;
  document.querySelector("footer").hidden = true;
  at(action === "edit" ? "edit-response" : "reason").focus();
}

function closeForm() {
  visit.form = null;
  at("form").hidden = true;
  document.querySelector("footer").hidden = false;
  at("pair").focus({ preventScroll: true });
}

async function submit() {
  const action = visit.form;
  const reason = at("reason").value.trim();
  if (!reason) { problem("Say in a few words why."); return at("reason").focus(); }
  const more = { reason };
  if (action === "edit") more.edited = {
    instruction: at("edit-instruction").value, response: at("edit-response").value, answer: at("edit-answer").value,
  };
  try {
    if (await decide(action, more)) closeForm();
  } catch (error) {
    problem(error.message);
  }
}

function problem(text) {
  show(at("problem"), text);
}

// --- keys ---

const move = {
  accept: () => decide("accept"),
  reject: () => openForm("reject"),
  edit: () => openForm("edit"),
  undo: () => visit.shown && visit.shown.state ? decide("undo") : say("Nothing stands decided on this pair."),
  next: () => step(visit.place + 1, "This is the last pair."),
  back: () => step(visit.place - 1, "This is the first pair."),
  skip: () => { const place = undecided(visit.place); return place < 0 ? say("Every pair is decided.") : step(place, ""); },
  help: () => at("help").showModal(),
};
const KEYS = { a: "accept", r: "reject", e: "edit", u: "undo", j: "next", ArrowRight: "next", k: "back", ArrowLeft: "back",
  n: "skip", "?": "help" };

async function step(place, end) {
  if (visit.busy) return;
  if (place < 0 || place >= visit.pairs.length) return say(end);
  await go(place);
  say(`Pair ${visit.place + 1} of ${visit.pairs.length}, ${visit.shown.state ? DONE[visit.shown.state] : "not decided"}.`);
}

function act(name) {
  Promise.resolve().then(move[name]).catch((error) => say(error.message));
}

document.addEventListener("keydown", (event) => {
  if (visit.form) {
    if (event.key === "Escape") { event.preventDefault(); closeForm(); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || at("help").open) return;
  const name = KEYS[event.key];
  if (!name) return;
  event.preventDefault();
  act(name);
});

for (const name of ["accept", "reject", "edit", "undo", "back", "next", "help"]) {
  at(`do-${name}`).addEventListener("click", () => act(name));
}
at("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
at("cancel").addEventListener("click", closeForm);
at("close-help").addEventListener("click", () => at("help").close());

async function start() {
  const overview = await ask("api/overview");
  Object.assign(visit, { pairs: overview.pairs, states: overview.states });
  show(at("heading"), Object.entries(overview.heading).map(([name, value]) => `${name}: ${value}`).join(" · "));
  drawCounts(overview.counts);
  const first = visit.states.findIndex((state) => !state);
  await go(first < 0 ? 0 : first, { focus: false });
  say(`Pair ${visit.place + 1} of ${visit.pairs.length}. Press ? for the keys.`);
}

start().catch((error) => say(error.message));
