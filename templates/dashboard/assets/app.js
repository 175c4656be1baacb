// The script of every page: it remembers the theme, keeps times current, and follows changes. Pages are made
// by the server; when something changes the same page is fetched again and its parts marked data-live are brought in
// line, so that the script and the server cannot disagree. Without the script everything works by reloading.

const page = document.documentElement;
page.classList.add("js");

// The theme: the system's, until somebody chooses. The cookie lets the server write the choice into the page.
const chosen = document.cookie.match(/(?:^|; )agentpod_theme=(light|dark)/);
if (chosen) page.dataset.theme = chosen[1];
document.getElementById("theme")?.addEventListener("click", () => {
  const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  page.dataset.theme = dark ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `agentpod_theme=${page.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
});

// Times show their distance from now, and keep it current.
function distance(seconds) {
  const whole = Math.abs(Math.trunc(seconds));
  if (seconds >= 0 && whole < 5) return "just now";
  const amount = whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min`
    : whole < 172800 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86400)} d`;
  return seconds < 0 ? `in ${amount}` : `${amount} ago`;
}
function tellTimes() {
  for (const time of document.querySelectorAll("time[title]")) {
    const text = distance((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(tellTimes, 10000);

// Choosing a filter submits the form.
for (const form of document.querySelectorAll("form.filter")) {
  form.addEventListener("change", (event) => { if (event.target.matches("select")) form.requestSubmit(); });
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
  // After going back, the fields are as they were left.
  addEventListener("pageshow", () => { for (const field of form.elements) field.disabled = false; });
}

// A search narrows the list while it is typed; the URL follows, so that it can be kept and gone back to.
let typing = 0;
for (const field of document.querySelectorAll("input[data-as-you-type]")) {
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const url = new URL(field.form.action);
      for (const [name, value] of new FormData(field.form)) if (value) url.searchParams.set(name, value);
      history.replaceState(null, "", url);
      refresh();
    }, 200);
  });
}
// "/" goes to the search.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  const field = document.querySelector("input[type=search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

// Brings `old` in line with `fresh`, keeping what is the same: focus, selection, scrolling and opened details stay.
function align(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.id ?? "") !== (fresh.id ?? "")) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old === document.activeElement && old.matches("input, select, textarea")) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const same = next.id && kept.get(next.id);
    if (same && same !== at) {
      old.insertBefore(same, at);
      align(same, next);
    } else if (at && (at.id ?? "") === (next.id ?? "")) {
      const after = at.nextSibling;
      align(at, next);
      at = after;
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const after = at.nextSibling;
    at.remove();
    at = after;
  }
}

// Fetches this page again and brings its live parts in line. Never twice at a time, and not while the page is hidden.
let asking = false, askAgain = false, due = 0;
async function refresh() {
  // A page without live parts may have no URL to fetch: the response to a form, say.
  if (!document.querySelector("[data-live]:not(#notices)")) return;
  if (asking || document.hidden) { askAgain = true; return; }
  asking = true;
  askAgain = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin", cache: "no-store" });
    if (answer.redirected || answer.status === 401) { location.reload(); return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next) align(part, document.adoptNode(next));
    }
    tellTimes();
  } catch {
    // The socket shows when the server is gone.
  } finally {
    asking = false;
    if (askAgain && !document.hidden) soon();
  }
}
// Soon, and at most every two seconds however much changes; not all viewers at the same moment.
function soon() {
  if (due) return;
  const rest = Math.max(0, lastRefresh + 2000 - Date.now());
  due = setTimeout(() => { due = 0; lastRefresh = Date.now(); refresh(); }, rest + 50 + Math.random() * 250);
}
let lastRefresh = 0;
document.addEventListener("visibilitychange", () => { if (!document.hidden && askAgain) soon(); });

// Pointing at a plot tells the value there.
document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.(".plot svg");
  for (const old of document.querySelectorAll(".plot .cursor")) if (old.parentNode !== plot) forget(old.parentNode);
  if (!plot) return;
  const points = JSON.parse(plot.parentNode.dataset.points);
  const { left, width } = plot.getBoundingClientRect();
  const at = (event.clientX - left) / width * 320;
  let best;
  for (const point of points) if (!best || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
  if (!best) return;
  let cursor = plot.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", 6);
    cursor.setAttribute("y2", 92);
    plot.append(cursor);
  }
  cursor.setAttribute("x1", best[0]);
  cursor.setAttribute("x2", best[0]);
  plot.parentNode.querySelector("output").textContent = best[2];
});
function forget(plot) {
  plot.querySelector(".cursor").remove();
  plot.parentNode.querySelector("output").textContent = "";
}

// The socket.
const shown = document.getElementById("live");
function show(state, text) {
  if (!shown || shown.dataset.state === state && shown.textContent === text) return;
  shown.dataset.state = state;
  shown.textContent = text;
}

const HEARTBEAT = 15000, SILENCE = 40000, HANDSHAKE = 10000;
let begun = 0, socket, wait = 1000, heard = 0, sequence = null, wasLive = false;
function connect() {
  const address = new URL(document.body.dataset.watch, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  begun = Date.now();
  const mine = socket;
  socket.addEventListener("open", () => {
    heard = Date.now();
    wait = 1000;
    sequence = null;
    show("live", "live");
    // The page as it is now has what was missed meanwhile.
    if (wasLive) soon();
    wasLive = true;
  });
  socket.addEventListener("message", (event) => { if (mine === socket) take(event.data); });
  socket.addEventListener("close", (event) => {
    if (mine !== socket) return;
    // Signed out elsewhere, or the account was disabled: the server leads to the sign-in.
    if (event.code === 4401) { location.reload(); return; }
    show("offline", "offline — reconnecting");
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, 30000);
  });
}
function take(text) {
  heard = Date.now();
  let message;
  try { message = JSON.parse(text); } catch { return; }
  const { type, seq } = message;
  if (type === "ping") { socket.send(JSON.stringify({ type: "pong" })); return; }
  if (type === "snapshot") { if (sequence !== null) soon(); sequence = seq; return; }
  if (typeof seq === "number") {
    // Something was missed: the page as it is now has it.
    if (sequence !== null && seq > sequence + 1) soon();
    sequence = seq;
  }
  if (type === "pod") { patch(message.pod); soon(); }
  else if (type === "usage") measure(message.usage);
  else if (type === "gone" || type === "event" || type === "revision" || type === "request") soon();
}
// A pod's message is shown at once; the rest of the page follows.
const TONES = JSON.parse(document.body.dataset.tones ?? "{}");
function fields(id, name) { return document.querySelectorAll(`[data-pod="${CSS.escape(id)}"] [data-field="${name}"]`); }
function patch(pod) {
  for (const field of fields(pod.id, "phase")) {
    const look = field.querySelector(".phase");
    if (!look || look.textContent === pod.phase) continue;
    const tone = TONES[pod.phase] ?? "idle";
    const icon = look.querySelector(".icon");
    icon.classList.toggle("turns", tone === "busy");
    icon.firstElementChild.setAttribute("href", icon.firstElementChild.getAttribute("href").replace(/#.*/, `#${tone}`));
    look.className = `phase ${tone}`;
    look.lastChild.nodeValue = pod.phase;
  }
}
function mebibytes(amount) {
  if (amount < 1024) return `${Math.round(amount)} MiB`;
  const gibi = amount / 1024;
  return `${gibi >= 100 || Math.round(gibi * 10) % 10 === 0 ? Math.round(gibi) : gibi.toFixed(1)} GiB`;
}
let measuredAt = Date.now();
function measure(usage) {
  for (const { id, memory_mb, cpu_percent } of usage) {
    for (const cell of fields(id, "memory")) cell.textContent = mebibytes(memory_mb);
    for (const cell of fields(id, "cpu")) cell.textContent = cpu_percent >= 0.05 && cpu_percent < 9.95 ? `${cpu_percent.toFixed(1)} %` : `${Math.round(cpu_percent)} %`;
  }
  // Curves and meters follow once a minute: they would not show more.
  if (Date.now() - measuredAt > 60000 && document.querySelector("#usage, #host")) { measuredAt = Date.now(); soon(); }
}
setInterval(() => {
  // Browsers wait minutes for a handshake that nobody answers.
  if (socket?.readyState === WebSocket.CONNECTING && Date.now() - begun > HANDSHAKE) { socket.close(); return; }
  if (socket?.readyState !== WebSocket.OPEN) return;
  // A connection that died silently is detected by its silence.
  if (Date.now() - heard > SILENCE) { socket.close(); return; }
  socket.send(JSON.stringify({ type: "ping" }));
}, HEARTBEAT);
addEventListener("online", () => { if (socket?.readyState === WebSocket.CLOSED) { wait = 1000; } });
if (document.body.dataset.watch) connect();
