// Prices and the book of one market.

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || Math.abs(high) / 10 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

// As wide as its place, so that letters keep their size.
const room = (id, usual) => Math.max(260, $(id).clientWidth || usual);

function candles(answer) {
  const width = room("prices", 820), height = 320, right = 92, bottom = 22, volumes = 46;
  const node = picture(width, height, `Prices of ${answer.market}`);
  const bars = answer.bars;
  const times = bars.map((bar) => Date.parse(bar.at) / 1000);
  const first = times[0], last = times[times.length - 1] + answer.bar_s;
  const low = Math.min(...bars.map((bar) => bar.low)), high = Math.max(...bars.map((bar) => bar.high));
  const edge = (high - low || Math.abs(high) || 1) * 0.06;
  const plot = height - bottom - volumes;
  const x = (time) => ((time - first) / (last - first)) * (width - right);
  const y = (value) => 6 + ((high + edge - value) / (high - low + 2 * edge)) * (plot - 12);
  for (const value of ticks(low - edge, high + edge, 5)) {
    node.append(shape("line", { x1: 0, x2: width - right, y1: y(value), y2: y(value), class: "grid" }));
    node.append(shape("text", { x: width - right + 8, y: y(value) + 4 }, price(value)));
  }
  const marks = Math.min(Math.ceil((width - right) / 130), bars.length);
  for (let mark = 0; mark < marks; mark += 1) {
    const time = first + ((last - first) * (mark + 0.5)) / marks;
    const label = new Date(time * 1000).toISOString().slice(11, 16);
    node.append(shape("text", { x: x(time), y: height - 6, "text-anchor": "middle" }, label));
  }
  const most = Math.max(...bars.map((bar) => bar.volume), 1e-12);
  const full = x(first + answer.bar_s);
  const body = Math.max(1, Math.min(full * 0.7, 14));
  bars.forEach((bar, index) => {
    const middle = x(times[index] + answer.bar_s / 2);
    const tall = (bar.volume / most) * (volumes - 8);
    node.append(shape("rect", { x: middle - body / 2, y: height - bottom - tall, width: body, height: tall, class: "volume" }));
    const kind = bar.close >= bar.open ? "rise" : "fall";
    node.append(shape("line", { x1: middle, x2: middle, y1: y(bar.high), y2: y(bar.low), class: kind }));
    const top = y(Math.max(bar.open, bar.close));
    const deep = Math.max(1, y(Math.min(bar.open, bar.close)) - top);
    const rect = shape("rect", { x: middle - body / 2, y: top, width: body, height: deep, class: kind });
    rect.append(shape("title", {}, `${moment(bar.at)}  open ${price(bar.open)}  high ${price(bar.high)}  low ${price(bar.low)}  close ${price(bar.close)}  volume ${bar.volume}`));
    node.append(rect);
  });
  return node;
}

function depth(answer) {
  const width = room("book", 400), height = 320, bottom = 22;
  const node = picture(width, height, `Book of ${answer.market}`);
  const pile = (levels) => {
    let sum = 0;
    return levels.map(([value, size]) => [value, (sum += size)]);
  };
  const bids = pile(answer.bids), asks = pile(answer.asks);
  const all = [...bids, ...asks];
  const low = Math.min(...all.map(([value]) => value)), high = Math.max(...all.map(([value]) => value));
  const most = Math.max(...all.map(([, sum]) => sum), 1e-12);
  const x = (value) => 4 + ((value - low) / (high - low || 1)) * (width - 8);
  const y = (sum) => height - bottom - (sum / most) * (height - bottom - 24);
  for (const share of [0.25, 0.5, 0.75, 1]) {
    node.append(shape("line", { x1: 0, x2: width, y1: y(most * share), y2: y(most * share), class: "grid" }));
  }
  const side = (levels, kind) => {
    if (!levels.length) return;
    let path = `M${x(levels[0][0])},${height - bottom}`;
    let before = height - bottom;
    for (const [value, sum] of levels) {
      path += `L${x(value)},${before}L${x(value)},${y(sum)}`;
      before = y(sum);
    }
    node.append(shape("path", { d: `${path}L${x(levels[levels.length - 1][0])},${height - bottom}Z`, class: kind }));
    node.append(shape("path", { d: path, class: `${kind}line` }));
  };
  side(bids, "bid");
  side(asks, "ask");
  node.append(shape("text", { x: 4, y: height - 6 }, price(low)));
  node.append(shape("text", { x: width - 4, y: height - 6, "text-anchor": "end" }, price(high)));
  node.append(shape("text", { x: 4, y: 14 }, `${rate(bids.length ? bids[bids.length - 1][1] : 0)} bid`));
  node.append(shape("text", { x: width - 4, y: 14, "text-anchor": "end" }, `${rate(asks.length ? asks[asks.length - 1][1] : 0)} asked`));
  return node;
}

const market = { names: [], chosen: null, hours: 3 };

async function followMarkets() {
  const answer = await ask("/api/markets");
  const names = answer.markets.map((one) => `${one.venue} ${one.market}`);
  if (names.join() === market.names.join()) return;
  market.names = names;
  if (!names.includes(market.chosen)) {
    const usual = names.find((name) => name.endsWith(" KRW-BTC"));
    market.chosen = usual || names[0] || null;
  }
  fill($("market"), ...names.map((name) => make("option", { value: name }, name)));
  if (market.chosen) $("market").value = market.chosen;
}

async function followMarket() {
  const choose = (hours) => { market.hours = hours; soon(followMarket); };
  segments($("span"), [[1, "1 h"], [3, "3 h"], [12, "12 h"], [24, "24 h"]], market.hours, choose);
  if (!market.chosen) {
    fill($("prices"), make("p", { class: "quiet" }, "No prices are in files yet; the first come after a minute or so."));
    fill($("book"));
    return;
  }
  const [venue, name] = market.chosen.split(" ");
  const which = `venue=${encodeURIComponent(venue)}&market=${encodeURIComponent(name)}`;
  const [prices, book] = await Promise.all([
    ask(`/api/prices?${which}&hours=${market.hours}`), ask(`/api/book?${which}`)]);
  if (prices.bars.length) {
    const last = prices.bars[prices.bars.length - 1];
    const width = prices.bar_s >= 60 ? `${prices.bar_s / 60} min` : `${prices.bar_s} s`;
    $("prices-about").textContent = `${name}: ${price(last.close)} at ${clock(last.at)}, bars of ${width} from ${prices.stream} files${prices.truncated ? "; older files were left out" : ""}`;
    fill($("prices"), candles(prices));
  } else {
    $("prices-about").textContent = name;
    fill($("prices"), make("p", { class: "quiet" }, "No prices of this span are in files."));
  }
  if (book.at && book.asks.length + book.bids.length > 0) {
    $("book-about").textContent = `Last recorded book, ${moment(book.at)}`;
    fill($("book"), depth(book));
  } else {
    $("book-about").textContent = "Book";
    fill($("book"), make("p", { class: "quiet" }, "No book of this market is in files."));
  }
}
