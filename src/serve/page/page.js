// What is asked, how often, and where it goes.

const STALE_MS = 4000;
const page = { status: null, history: null, lags: null, heard: 0, stream: null, date: null, token: "" };

class Denied extends Error {}

async function ask(path) {
  const headers = page.token ? { Authorization: `Bearer ${page.token}` } : {};
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(10000), cache: "no-store" });
  if (answer.status === 401) throw new Denied();
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer.json();
}

function soon(work) {
  work().catch((error) => { if (!(error instanceof Denied)) console.debug(String(error)); });
}

// Does `work` again and again, never twice at a time.
function every(ms, work) {
  const turn = async () => {
    try { await work(); } catch (error) { if (error instanceof Denied) closed(); }
    setTimeout(turn, ms);
  };
  turn();
}

function closed() {
  $("denied").hidden = !page.token;
  $("gate").hidden = false;
  $("main").hidden = true;
}

function showStreams() {
  const live = page.status.live;
  const history = new Map((page.history ? page.history.streams : [])
    .map((one) => [`${one.venue} ${one.stream}`, one.records_per_s]));
  const late = Map.groupBy(page.lags ? page.lags.hours : [], (one) => `${one.venue} ${one.stream}`);
  const wrong = new Set(live.problems.map((one) => `${one.venue} ${one.stream}`));
  fill($("streams"), ...live.streams.map((one) => {
    const key = `${one.venue} ${one.stream}`;
    const lag = one.lag || {};
    const facts = [
      ["last frame", one.age_s === null ? "none yet" : `${span(Math.max(0, one.age_s))} ago`],
      ["rows", count(one.rows)],
      ["told before", count(one.duplicates)],
    ];
    if (one.refused) facts.push(["refused", `${one.refused}: ${one.refused_markets.join(", ")}`]);
    if (one.awaited) facts.push(["awaited", `${one.awaited}: ${one.awaited_markets.join(", ")}`]);
    return make("article", { class: wrong.has(key) ? "card off" : "card", "data-stream": one.stream },
      make("h3", {}, one.stream, make("span", { class: "quiet" }, `${one.served} of ${one.asked} markets`)),
      make("p", { class: "big", "data-field": "rate" }, rate(one.records_per_s), make("small", {}, " a second")),
      spark(history.get(key) || [], `Records a second of ${one.stream} over the last hours`),
      make("div", { class: "lags", title: "How long live messages were on their way, from the venue's clock to ours" },
        ...[["lag p50", lag.p50_ms], ["p99", lag.p99_ms], ["max", lag.max_ms]].map(([name, value]) =>
          make("div", {}, make("span", { class: "quiet" }, name), make("b", {}, millis(value))))),
      hourly(late.get(key) || [], one.stream),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  }));
}

// The lag of each of the last hours: one bar an hour, as tall as its p99.
function hourly(hours, stream) {
  if (!hours.length) return null;
  const most = Math.max(1, ...hours.map((one) => one.lag.p99_ms));
  return make("div", { class: "hourly", role: "img", "aria-label": `Lag of ${stream} by hour, the last day` },
    ...hours.map((one) => make("span", {
      title: `${moment(one.hour)}: p50 ${millis(one.lag.p50_ms)}, p99 ${millis(one.lag.p99_ms)}, max ${millis(one.lag.max_ms)}, ${count(one.lag.records)} records`,
      class: `p${Math.max(1, Math.ceil(one.lag.p99_ms / most * 10))}` })));
}

function tile(title, big, unit, facts, id) {
  return make("article", { class: "card", "data-tile": id }, make("h3", {}, title),
    make("p", { class: "big" }, big, make("small", {}, ` ${unit}`)),
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
}

function showFlow() {
  const { queue, writer, disk, clock: { drift_s } } = page.status.live;
  const steps = page.status.clock_steps;
  fill($("flow"),
    tile("Queue", count(queue.events), `of ${count(queue.limit_events)} waiting`, [
      ["bytes", bytes(queue.bytes)], ["waits for room", count(queue.waits)], ["waited in all", span(queue.waited_s)]], "queue"),
    tile("Writer", count(writer.frames), "frames", [
      ["behind", span(writer.behind_s)], ["rows waiting", count(writer.waiting_rows)],
      ["not understood", count(writer.unread)]], "writer"),
    tile("Files", count(writer.files), "this run", [
      ["rows", count(writer.file_rows)], ["bytes", bytes(writer.file_bytes)]], "files"),
    tile("Disk", bytes(disk.free_bytes), "free", [
      ["room down to", bytes(disk.min_free_bytes)],
      ["grows a day", bytes(disk.bytes_per_day)],
      ["lasts for", disk.days_left === null ? "–" : `${disk.days_left.toFixed(disk.days_left < 10 ? 1 : 0)} days`]], "disk"),
    tile("Clock", `${drift_s < 0 ? "−" : "+"}${millis(Math.abs(drift_s) * 1000)}`, "drift", steps.length
      ? steps.slice(0, 3).map((step) => [`set ${moment(step.at)}`, `${step.by_s > 0 ? "+" : "−"}${span(Math.abs(step.by_s))}`])
      : [["set since it started", "never"]], "clock"));
}

function showConnections() {
  const live = page.status.live;
  const head = [["session", "n"], ["line", "n"], ["to", ""], ["up for", "n"], ["subscriptions", "n"], ["frames", "n"],
    ["bytes", "n"], ["was first", "n"], ["by, on average", "n"]];
  rows($("connections"), head, live.connections.map((one) => [
    String(one.id), String(one.line), one.endpoint, span(one.uptime_s), count(one.subscriptions), count(one.frames),
    bytes(one.bytes), count(one.led), one.led ? millis(one.lead_us / one.led / 1000) : "–"]), "No connection is up.");
}

function showHeld() {
  const head = [["stream", ""], ["venue", ""], ["markets", "n"], ["files", "n"], ["rows", "n"], ["bytes", "n"], ["from", ""], ["to", ""]];
  rows($("held"), head, page.status.streams.map((one) => [
    one.stream, one.venue, count(one.markets), count(one.files), count(one.rows), bytes(one.bytes),
    moment(one.first_event), moment(one.last_event)]), "No file is there yet.");
}

const gapHead = [["stream", ""], ["market", ""], ["from", ""], ["lasts", "n"], ["cause", ""], ["state", ""], ["why", "wide"]];

function gapLine(gap) {
  const until = gap.to ? Date.parse(gap.to) : Date.now();
  return [gap.stream, gap.market || "all", moment(gap.from),
    `${span(Math.max(0, (until - Date.parse(gap.from)) / 1000))}${gap.to ? "" : " so far"}`, gap.cause,
    make("span", { class: `tag ${gap.state}` }, gap.state.replace("_", " ")), gap.detail];
}

async function followGaps() {
  const answer = await ask("/api/gaps?limit=100");
  rows($("gaps"), gapHead, answer.gaps.map(gapLine), "Nothing is missing.");
}

function verdict() {
  const live = page.status.live;
  const wrong = live.problems.length;
  $("lamp").className = `lamp ${wrong ? "bad" : "good"}`;
  $("verdict").textContent = wrong ? `${wrong === 1 ? "One thing is" : `${wrong} things are`} wrong` : "Recording, all is well";
  $("facts").textContent = `version ${live.version} · up ${span(live.uptime_s)} · ${page.status.data} · ${clock(live.at)}`;
  $("problems").hidden = !wrong;
  fill($("problems"), ...live.problems.map((one) =>
    make("li", {}, `${[one.what, one.venue, one.stream].filter(Boolean).join(" ")}: ${one.detail}`)));
  const gaps = Object.entries(page.status.gaps).filter(([, number]) => number > 0);
  $("gap-counts").textContent = gaps.map(([state, number]) => `${count(number)} ${state.replace("_", " ")}`).join(" · ");
  document.title = wrong ? "(!) Veritape" : "Veritape";
}

async function followStatus() {
  page.status = await ask("/status.json");
  page.heard = Date.now();
  $("gate").hidden = true;
  $("main").hidden = false;
  $("main").dataset.at = page.status.live.at;
  verdict();
  showStreams();
  showFlow();
  showConnections();
  showHeld();
  presence();
  if (!page.stream) await followCoverage();
}

// Says so when nobody answers: what is shown is what was.
function presence() {
  const silent = page.heard && Date.now() - page.heard > STALE_MS;
  $("gone").hidden = !silent;
  for (const section of document.querySelectorAll("main section")) section.classList.toggle("stale", Boolean(silent));
  if (!silent) return;
  $("lamp").className = "lamp gone";
  $("verdict").textContent = "The recorder does not answer";
  $("gone").textContent = `The recorder is gone: nobody has answered for ${span((Date.now() - page.heard) / 1000)}. What stands here is from ${moment(page.heard)}.`;
  document.title = "(gone) Veritape";
}

const CONDITIONS = [["complete", "proven complete"], ["repaired", "proven, with repairs"], ["unproven", "not proven"],
  ["degraded", "something is missing or wrong"], ["missing", "all is missing"], ["retired", "removed by a policy"]];

function cell(hour, name) {
  if (!hour) return make("span", { class: "cell", title: `${name}: nothing` });
  const words = `${name}: ${hour.condition}, ${(hour.covered * 100).toFixed(1)} % of ${hour.markets} markets, ${count(hour.rows)} rows`;
  return make("span", { class: `cell ${hour.condition}`, title: words });
}

async function followCoverage() {
  const streams = [...new Set([...page.status.streams, ...page.status.live.streams].map((one) => one.stream))]
    .filter((stream) => stream !== "instrument" && stream !== "unread").sort();
  if (!streams.includes(page.stream)) page.stream = streams.includes("trade") ? "trade" : streams[0] || null;
  if (!page.stream) return;
  segments($("coverage-streams"), streams.map((stream) => [stream, stream]), page.stream, (stream) => {
    page.stream = stream;
    soon(followCoverage);
  });
  const answer = await ask(`/api/coverage?stream=${encodeURIComponent(page.stream)}&days=14`);
  const hours = Array.from({ length: 24 }, (_, hour) => make("span", { class: hour % 6 ? "hour minor" : "hour" }, String(hour)));
  const days = answer.days.toReversed().flatMap((day) => [
    make("button", { class: "date", type: "button", "data-date": day.date, "aria-pressed": String(day.date === page.date),
      onclick: () => { page.date = page.date === day.date ? null : day.date; soon(followCoverage); } }, day.date),
    ...day.hours.map((hour, index) => cell(hour, `${day.date} ${index}:00`))]);
  fill($("calendar"), make("div", { class: "days" }, make("span", {}, ""), ...hours, ...days));
  fill($("legend"), ...CONDITIONS.map(([name, words]) => make("span", {}, make("i", { class: `cell ${name}` }), words)), make("span", {}, "Click a day to see it."));
  await followDay();
}

async function followDay() {
  $("day").hidden = !page.date;
  if (!page.date) return;
  const day = await ask(`/api/day?stream=${encodeURIComponent(page.stream)}&date=${page.date}`);
  const strip = (market) => {
    const hours = new Map(market.hours.map((hour) => [Number(hour.hour.slice(11, 13)), hour]));
    return make("div", { class: "strip" }, ...Array.from({ length: 24 }, (_, index) => {
      const hour = hours.get(index);
      const words = hour ? `${hour.condition}, ${span(hour.covered_s)} covered, ${count(hour.rows)} rows` : "nothing";
      return make("span", { class: `cell ${hour ? hour.condition : ""}`, title: `${index}:00: ${words}` });
    }));
  };
  const gaps = make("table", { id: "day-gaps" });
  rows(gaps, gapHead, day.gaps.toReversed().map(gapLine), "No gap on this day.");
  const markets = make("table", { id: "day-markets" });
  rows(markets, [["market", ""], ["rows", "n"], ["covered", "n"], ["condition", ""], ["hours", ""]], day.markets.map((market) =>
    [market.market || "–", count(market.rows), span(market.covered_s), market.condition, strip(market)]), "Nothing was recorded.");
  fill($("day"),
    make("h3", {}, `${day.stream} on ${day.date}: ${count(day.rows)} rows in ${count(day.files)} files, ${bytes(day.bytes)}`,
      make("button", { type: "button", onclick: () => { page.date = null; soon(followCoverage); } }, "Close")),
    make("div", { class: "scroll" }, gaps), make("div", { class: "scroll" }, markets));
}

function start() {
  every(1000, followStatus);
  every(15000, async () => { page.history = await ask("/api/history"); });
  every(30000, async () => { page.lags = await ask("/api/lags?hours=24"); });
  every(2000, followGaps);
  every(10000, async () => { if (page.status) await followCoverage(); });
  every(20000, async () => { await followMarkets(); await followMarket(); });
  setInterval(presence, 500);
}

let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => soon(followMarket), 300);
});
$("market").addEventListener("change", (event) => { market.chosen = event.target.value; soon(followMarket); });
$("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  page.token = $("token").value.trim();
  sessionStorage.setItem("token", page.token);
  soon(async () => {
    try { await followStatus(); } catch (error) { if (error instanceof Denied) closed(); }
    await Promise.all([followGaps(), followCoverage(), followMarkets().then(followMarket)]);
  });
});
if (document.documentElement.dataset.token === "asked") {
  page.token = sessionStorage.getItem("token") || "";
}
start();
