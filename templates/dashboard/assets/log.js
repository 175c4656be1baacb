// A pod's log as it is written. Lines are in chunks that the browser skips while they are out of sight, and beyond the
// limit the oldest chunk goes, so that ten thousand lines scroll like a hundred.

const log = document.getElementById("log");
const byId = (id) => document.getElementById(id);
const CHUNK = 200;
const MOST = Number(log.dataset.most);
let chunk = log.querySelector(".chunk");
let lines = log.querySelectorAll(".l").length;
let following = true, paused = false;
let waiting = [], last = "";

function chunks() { return [...log.querySelectorAll(".chunk")]; }
for (const time of log.querySelectorAll(".l > time")) last = time.dateTime;

// Following: the end stays in sight until the reader scrolls away.
function toEnd() { log.scrollTop = log.scrollHeight; }
function follow(yes) {
  following = yes;
  byId("log-follow").setAttribute("aria-pressed", yes);
  if (yes) toEnd();
}
byId("log-follow").addEventListener("click", () => follow(!following));
log.addEventListener("scroll", () => {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  if (!atEnd && following && !placing) follow(false);
  else if (atEnd && !following) follow(true);
}, { passive: true });

// New lines are added once per frame, all together.
let frame = 0, placing = false;
function add(entry) {
  waiting.push(entry);
  if (waiting.length > MOST) waiting.splice(0, waiting.length - MOST);
  if (paused) { tellPause(); return; }
  frame ||= requestAnimationFrame(place);
}
function place() {
  frame = 0;
  placing = true;
  const found = needle();
  for (const entry of waiting) {
    if (!chunk || chunk.childElementCount >= CHUNK) {
      chunk = document.createElement("div");
      chunk.className = "chunk";
      log.append(chunk);
    }
    const line = document.createElement("div");
    line.className = "l";
    if (entry.err) line.classList.add("err");
    if (entry.told) line.classList.add("told");
    if (entry.at) {
      const time = document.createElement("time");
      time.dateTime = entry.at;
      time.textContent = entry.at.slice(11, 23);
      line.append(time);
    }
    line.append(entry.text);
    if (found && entry.text.toLowerCase().includes(found)) { line.classList.add("hit"); hits += 1; }
    chunk.append(line);
    lines += 1;
  }
  waiting = [];
  while (lines > MOST && log.firstElementChild !== chunk) {
    const first = log.firstElementChild;
    lines -= first.childElementCount;
    hits -= first.querySelectorAll(".hit").length;
    first.remove();
  }
  if (found) tellHits();
  if (following) toEnd();
  requestAnimationFrame(() => { placing = false; });
}

function tellPause() { byId("log-pause").textContent = waiting.length ? `Resume (${waiting.length})` : "Resume"; }
byId("log-pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", paused);
  if (paused) tellPause();
  else { event.currentTarget.textContent = "Pause"; place(); }
});
function toggle(id, name, inverse) {
  byId(id).addEventListener("click", (event) => {
    const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
    event.currentTarget.setAttribute("aria-pressed", on);
    log.classList.toggle(name, inverse ? !on : on);
    if (following) toEnd();
  });
}
toggle("log-wrap", "wrap");
toggle("log-times", "bare", true);
toggle("log-only", "only-hits");

// Searching: matching lines are marked, the words in them as well where the browser can, and one can go through them.
let hits = 0, here = null;
const field = byId("log-search");
function needle() { return field.value.trim().toLowerCase(); }
function tellHits() { byId("log-found").textContent = needle() ? `${hits} line${hits === 1 ? "" : "s"}` : ""; }
function textOf(line) { return line.lastChild?.nodeValue ?? ""; }
function search() {
  const found = needle();
  hits = 0;
  here?.classList.remove("here");
  here = null;
  const ranges = [];
  for (const line of log.querySelectorAll(".l")) {
    const text = textOf(line).toLowerCase();
    const at = found ? text.indexOf(found) : -1;
    line.classList.toggle("hit", at >= 0);
    if (at < 0) continue;
    hits += 1;
    if (ranges.length < 5000) {
      const range = new Range();
      range.setStart(line.lastChild, at);
      range.setEnd(line.lastChild, Math.min(at + found.length, line.lastChild.length));
      ranges.push(range);
    }
  }
  if (globalThis.CSS?.highlights) {
    if (ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
    else CSS.highlights.delete("found");
  }
  tellHits();
}
function go(by) {
  const all = [...log.querySelectorAll(".hit")];
  if (!all.length) return;
  const at = here ? all.indexOf(here) : by > 0 ? -1 : all.length;
  here?.classList.remove("here");
  here = all[(at + by + all.length) % all.length];
  here.classList.add("here");
  follow(false);
  here.scrollIntoView({ block: "center" });
}
let due = 0;
field.addEventListener("input", () => { clearTimeout(due); due = setTimeout(search, 150); });
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") { event.preventDefault(); go(event.shiftKey ? -1 : 1); }
  if (event.key === "Escape") { field.value = ""; search(); }
});
byId("log-next").addEventListener("click", () => go(1));
byId("log-previous").addEventListener("click", () => go(-1));

// The stream: one JSON object per line. When it ends it is fetched again, from the last line on.
let wait = 1000;
async function stream() {
  const address = new URL(log.dataset.stream, location.href);
  address.search = new URLSearchParams(last ? { follow: "true", tail: "1000", since: last } : { follow: "true", tail: "300" });
  try {
    const answer = await fetch(address, { headers: { accept: "application/x-ndjson" }, credentials: "same-origin", cache: "no-store" });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    wait = 1000;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      parts.forEach(take);
    }
  } catch {
    // Retried below.
  }
  setTimeout(stream, wait);
  wait = Math.min(wait * 2, 30000);
}
function take(part) {
  let entry;
  try { entry = JSON.parse(part); } catch { return; }
  if (typeof entry.text !== "string") return;
  if (entry.at) last = entry.at;
  add(entry);
}
toEnd();
if (log.dataset.stream) stream();
