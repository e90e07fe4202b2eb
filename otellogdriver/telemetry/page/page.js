// The status page: asks for status.json every few seconds and shows it. All text goes in as text, never as HTML.
"use strict";

const EVERY = 2000, SLOW = 5000; // milliseconds between two looks; SLOW with many containers
const POINTS = 60; // of a sparkline
const ROWS = 200; // of the table; the filter finds the others
const LATE = 10; // seconds behind that deserve a colour
const RECENT = 60; // seconds that a loss colours the page
const SVG = "http://www.w3.org/2000/svg";

const $ = (id) => document.getElementById(id);
const history = new Map(); // container id -> {lines, at, points, lost, lostAt}
const total = { points: [] };
const rows = new Map(); // container id -> row
let last = null, failed = 0, timer = 0;

function element(tag, name, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

// Numbers for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const count = (value) => (value < 1e5 ? whole : short).format(value);

function rate(value) {
  if (value === null) return "–";
  if (value > 0 && value < 10) return value.toFixed(1);
  return count(value);
}

function size(bytes) {
  let unit = 0;
  while (bytes >= 1000 && unit < 4) { bytes /= 1024; unit += 1; }
  return `${bytes >= 100 || unit === 0 ? bytes.toFixed(0) : bytes.toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

function time(seconds) {
  if (seconds < 1) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(0)} h`;
  return `${(seconds / 86400).toFixed(0)} d`;
}

const sum = (object) => Object.values(object).reduce((all, one) => all + one, 0);
const reasons = (dropped) => Object.entries(dropped).filter(([, lines]) => lines > 0)
  .map(([reason, lines]) => `${reason.replaceAll("_", " ")} ${count(lines)}`).join(", ");

// Sparklines.

function spark(width, height) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["area", "stroke"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

function draw(svg, points) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  if (points.length < 2) return;
  const top = Math.max(...points, 1);
  const step = width / (POINTS - 1), start = width - step * (points.length - 1);
  const places = points.map((value, index) =>
    `${(start + step * index).toFixed(1)},${(height - 2 - (height - 5) * value / top).toFixed(1)}`);
  const line = "M" + places.join("L");
  svg.firstChild.setAttribute("d", `${line}L${width},${height}L${start.toFixed(1)},${height}Z`);
  svg.lastChild.setAttribute("d", line);
}

// What is remembered between two looks.

function remember(container, now) {
  const lost = sum(container.dropped);
  let known = history.get(container.id);
  if (!known) history.set(container.id, known = { at: 0, points: [], rate: null, lost, lostAt: -Infinity });
  if (lost > known.lost) known.lostAt = now;
  known.lost = lost;
  if (known.at && now > known.at) {
    known.rate = Math.max(0, (container.lines - known.lines) / (now - known.at));
    known.points.push(known.rate);
    if (known.points.length > POINTS) known.points.shift();
  }
  known.lines = container.lines;
  known.at = now;
  return known;
}

function health(container, known, now) {
  if (now - known.lostAt < RECENT || container.blocked || container.stalled) return "bad";
  if (!container.up) return container.undelivered ? "bad" : "warn";
  if (container.lag > LATE) return "warn";
  return container.running ? "good" : "stopped";
}

const ORDER = { bad: 0, warn: 1, good: 2, stopped: 3 };

// The parts of the page.

function showState(state, text) {
  const pill = $("state");
  setClass(pill, `pill ${state}`);
  setText(pill.lastChild, text);
  document.title = state === "good" || !state ? "otellogdriver" : `${text} – otellogdriver`;
}

function tile(key, title) {
  let made = $(`tile-${key}`);
  if (!made) {
    made = element("div", "tile", element("h3", "", title), element("strong", ""), element("small", ""));
    made.id = `tile-${key}`;
    $("totals").append(made);
  }
  return { tile: made, big: made.querySelector("strong"), small: made.querySelector("small") };
}

function showTotals(status) {
  const all = status.totals;
  const speed = tile("rate", "Lines per second");
  if (!speed.tile.querySelector("svg")) speed.tile.append(spark(300, 36));
  const now = total.points.at(-1);
  setText(speed.big, rate(now === undefined ? null : now));
  setText(speed.small, `${count(all.delivered)} delivered since the start`);
  draw(speed.tile.querySelector("svg"), total.points);

  const waiting = tile("waiting", "Waiting for delivery");
  setText(waiting.big, size(all.undelivered));
  setClass(waiting.big, all.lag > LATE ? "warn" : "");
  setText(waiting.small, all.lag > 1 ? `the oldest line for ${time(all.lag)}` : "nothing is late");

  const lost = sum(all.dropped);
  const gone = tile("lost", "Lines lost");
  setText(gone.big, count(lost));
  setClass(gone.big, lost ? "bad" : "");
  setText(gone.small, lost ? reasons(all.dropped) : "none since the start");

  const disk = tile("journal", "Journal on disk");
  let meter = disk.tile.querySelector("meter");
  if (!meter) disk.small.before(meter = element("meter", ""));
  const reach = all.undelivered + all.room;
  meter.max = reach || 1; meter.low = reach * 0.5; meter.high = reach * 0.8; meter.optimum = 0; meter.value = all.undelivered;
  setText(disk.big, size(all.journal));
  setClass(disk.big, all.full ? "bad" : "");
  setText(disk.small, all.full ? "full: lines are given up" : `room for ${size(all.room)} more`);
}

function showDestinations(status) {
  const cards = status.destinations.map((place) => {
    const requests = sum(place.requests);
    const facts = [`${count(requests)} requests`];
    if (place.duration !== null) facts.push(`half of them within ${time(place.duration)}`);
    if (place.retries) facts.push(`${count(place.retries)} tried again`);
    if (place.in_flight) facts.push(`${place.in_flight} in flight`);
    facts.push(`${size(place.sent)} sent`);
    const card = element("div", `destination ${place.up ? "good" : "bad"}`);
    const head = element("p", place.up ? "good" : "bad", element("i", "dot"), place.label);
    head.append(element("span", "", place.protocol));
    card.append(head, element("small", "", facts.join(" · ")));
    if (place.error) card.append(element("small", "error", place.error));
    return card;
  });
  $("destinations").replaceChildren(...cards);
  $("destinations").parentElement.hidden = !cards.length;
}

function row() {
  const cells = {
    name: element("b", ""), about: element("small", ""), error: element("small", "error"), rate: element("span", ""),
    spark: spark(118, 26), delivered: element("span", ""), waiting: element("span", ""), behind: element("span", ""),
    lost: element("span", ""), where: element("td", "where"),
  };
  const number = (label, inside) => {
    const cell = element("td", "n", inside);
    cell.dataset.label = label;
    return cell;
  };
  const mark = element("span", "", element("i", "dot"));
  const tr = element("tr", "",
    element("td", "name", element("div", "", mark, cells.name, cells.about, cells.error)),
    element("td", "rate", element("div", "", cells.rate, cells.spark)),
    number("Delivered", cells.delivered), number("Waiting", cells.waiting),
    number("Behind", cells.behind), number("Lost", cells.lost), cells.where);
  return { tr, mark, ...cells };
}

function showContainer(container, known, state) {
  let shown = rows.get(container.id);
  if (!shown) rows.set(container.id, shown = row());
  setClass(shown.tr, state);
  setClass(shown.mark, state);
  setText(shown.name, container.name);
  const about = [container.service !== container.name ? container.service : "", container.image];
  if (container.kept) about.unshift("not sent (label otellogdriver.exclude)");
  if (!container.running) about.unshift("stopped");
  setText(shown.about, about.filter(Boolean).join(" · "));
  const waits = container.blocked ? "waits for room in the journal (journal-full=block)"
    : container.stalled ? "the driver has not looked at it for a minute; its log says why" : "";
  setText(shown.error, waits || container.error);
  shown.error.hidden = !shown.error.textContent;
  setText(shown.rate, rate(known.rate));
  draw(shown.spark, known.points);
  setText(shown.delivered, count(container.delivered));
  shown.delivered.title = whole.format(container.delivered);
  setText(shown.waiting, container.undelivered ? size(container.undelivered) : "0");
  setClass(shown.waiting, container.undelivered ? "" : "zero");
  const late = container.lag > 1;
  setText(shown.behind, late ? time(container.lag) : "–");
  setClass(shown.behind, container.lag > LATE ? "warn" : late ? "" : "zero");
  const lost = sum(container.dropped);
  setText(shown.lost, count(lost));
  shown.lost.title = reasons(container.dropped);
  setClass(shown.lost, lost ? "bad" : "zero");
  setText(shown.where, container.destinations.join(", "));
  return shown.tr;
}

function showContainers(status, now) {
  const wanted = $("filter").value.trim().toLowerCase();
  const matches = (container) => !wanted
    || [container.name, container.service, container.image, container.id].some((text) => text.toLowerCase().includes(wanted));
  const found = status.containers.filter(matches).map((container) => {
    const known = history.get(container.id);
    return { container, known, state: health(container, known, now) };
  });
  found.sort((a, b) => ORDER[a.state] - ORDER[b.state] || (a.container.name < b.container.name ? -1 : 1));
  const body = $("containers").tBodies[0];
  const wantedRows = found.slice(0, ROWS).map((one) => showContainer(one.container, one.known, one.state));
  if (wantedRows.length !== body.children.length || wantedRows.some((tr, index) => body.children[index] !== tr)) {
    body.replaceChildren(...wantedRows);
  }
  const running = status.containers.filter((container) => container.running).length;
  setText($("count"), status.containers.length ? `${running} running` : "");
  $("filter").hidden = status.containers.length <= 8;
  $("containers").hidden = !found.length;
  setClass($("containers"), status.destinations.length > 1 ? "" : "single");
  $("none").hidden = status.containers.length > 0;
  const hidden = found.length - wantedRows.length;
  $("more").hidden = !hidden && (found.length > 0 || !wanted);
  setText($("more"), hidden ? `${hidden} more: filter to find them` : `Nothing matches “${$("filter").value}”.`);
}

function showEvents(status) {
  const lines = status.events.map((event) => {
    const when = element("time", "", new Date(event.time * 1000).toLocaleTimeString("en-GB"));
    when.dateTime = new Date(event.time * 1000).toISOString();
    when.title = new Date(event.time * 1000).toLocaleString("en-GB");
    return element("li", "", when, element("span", event.lost ? "lost" : "", event.text));
  });
  $("events").replaceChildren(...lines);
  $("latest").hidden = !lines.length;
}

function showProblems(status) {
  const list = [...status.problems];
  if (status.codec === "python" && status.codec_wanted !== "python") {
    list.push("The native codec is not there: the one in Python does its work at many times the CPU.");
  }
  const box = $("problems");
  box.replaceChildren(element("h2", "", "Options of the plugin"), ...list.map((text) => element("p", "", text)));
  box.hidden = !list.length;
}

function show(status) {
  const now = status.now;
  if (last && last.started !== status.started) { history.clear(); total.points = []; }
  const known = status.containers.map((container) => remember(container, now));
  const rates = known.map((one) => one.rate).filter((value) => value !== null);
  if (rates.length) {
    total.points.push(rates.reduce((all, one) => all + one, 0));
    if (total.points.length > POINTS) total.points.shift();
  }
  const here = new Set(status.containers.map((container) => container.id));
  for (const id of history.keys()) if (!here.has(id)) { history.delete(id); rows.delete(id); }
  last = status;

  setText($("about"), `${status.version} · ${status.codec} codec · up ${time(now - status.started)}`
    + ` · ${size(status.totals.memory)} memory`);
  const away = status.destinations.filter((place) => !place.up);
  const lostNow = known.some((one) => now - one.lostAt < RECENT);
  if (lostNow || status.totals.full) showState("bad", "Losing lines");
  else if (away.length) showState("bad", away.length === 1 ? "Collector away" : `${away.length} collectors away`);
  else if (status.containers.some((container) => container.blocked)) showState("bad", "A container waits");
  else if (status.containers.some((container) => container.stalled)) showState("bad", "A container is stalled");
  else if (status.totals.lag > LATE) showState("warn", `Behind by ${time(status.totals.lag)}`);
  else if (!status.ready) showState("warn", "Starting or stopping");
  else showState("good", "Everything delivered");

  showProblems(status);
  showTotals(status);
  showDestinations(status);
  showContainers(status, now);
  showEvents(status);
}

async function look() {
  clearTimeout(timer);
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const first = !last;
    show(await answer.json());
    failed = 0;
    document.body.classList.remove("away");
    timer = setTimeout(look, first ? 1000 : last.containers.length > ROWS ? SLOW : EVERY);
  } catch (error) {
    failed = failed || Date.now();
    document.body.classList.add("away");
    showState("bad", `No answer for ${time((Date.now() - failed) / 1000)}`);
    timer = setTimeout(look, EVERY);
  }
}

$("filter").addEventListener("input", () => { if (last) showContainers(last, last.now); });
document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else look(); });
look();
