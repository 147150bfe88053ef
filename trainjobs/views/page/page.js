"use strict";
// Only comfort: values under the pointer or by the arrow keys, trials that light up, tables that sort. Text of others is set as
// text, never as markup.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const HEIGHT = 240, ROW = 17, FEW = 8;

const make = (parent, name, look, text) => {
  const made = parent.appendChild(document.createElement(name));
  if (look) made.className = look;
  if (text !== undefined) made.textContent = text;
  return made;
};
const told = value => typeof value === "number" ? String(value).replace("e+", "e") : value;
const isNumber = value => typeof value === "number";

function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1; else high = middle;
  }
  return low && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
}

function light(trial, on) {
  document.querySelectorAll(`[data-trial="${trial}"]`).forEach(part => part.classList.toggle("on", on));
}

function chart(plot) {
  const {unit, x: [first, last, share], y: [low, high, log], lines} = data.charts[plot.dataset.chart];
  const top = plot.querySelector("svg > svg").y.baseVal.value;
  lines.forEach(line => { line.x = line.x || line.y.map((_, i) => i + 1); });
  const many = lines.length > FEW, paths = lines.map((_, i) => plot.querySelector(`[data-line="${i}"]`));
  const across = x => (last > first ? (x - first) / (last - first) : share < 1 ? 1 : .5) * share;
  const down = y => top + HEIGHT * (1 - (log ? Math.log(y / low) / Math.log(high / low) : (y - low) / (high - low)));
  const all = many ? [] : [...new Set(lines.flatMap(line => line.x))].sort((a, b) => a - b);
  const cursor = make(plot, "div", "cursor"), tip = make(plot.parentNode, "div", "tip");
  const spots = lines.slice(0, many ? 1 : FEW).map(() => make(plot, "div", "spot"));
  let lit = null, at = 0;
  tip.setAttribute("role", "status");
  cursor.style.height = `${HEIGHT}px`;
  cursor.style.top = `${top}px`;

  const mark = (spot, x, y) => {
    spot.hidden = !isNumber(y);
    if (spot.hidden) return;
    spot.style.left = `${across(x) * 100}%`;
    spot.style.top = `${down(y)}px`;
  };
  const place = x => {
    const middle = plot.offsetLeft + across(x) * plot.clientWidth, right = middle > plot.parentNode.clientWidth / 2;
    tip.hidden = cursor.hidden = false;
    cursor.style.left = `${across(x) * 100}%`;
    tip.style.top = `${top + 8}px`;
    tip.style.left = `${right ? middle - tip.offsetWidth - 14 : middle + 14}px`;
  };
  const row = (name, value) => {
    const line = make(tip, "div");
    make(line, "span", "", name);
    make(line, "b", "", value);
  };
  const lightLine = i => {
    [[lit, false], [i, true]].filter(([line]) => line !== null).forEach(([line, on]) => {
      paths[line].classList.toggle("on", on);
      if (paths[line].dataset.trial) light(paths[line].dataset.trial, on);
    });
    lit = i;
  };
  const hide = () => {
    tip.hidden = cursor.hidden = true;
    spots.forEach(spot => { spot.hidden = true; });
    lightLine(null);
  };
  const showAll = x => {
    tip.replaceChildren(Object.assign(document.createElement("span"), {textContent: `${unit} ${told(x)}`}));
    lines.forEach((line, i) => {
      const j = nearest(line.x, x), here = line.x[j] === x;
      mark(spots[i], x, here ? line.y[j] : null);
      if (here) row(line.name, told(line.y[j]));
    });
    place(x);
  };
  const showOne = i => {
    const line = lines[i], j = Math.min(at, line.y.length - 1);
    lightLine(i);
    tip.replaceChildren();
    row(line.name, told(line.y[j]));
    make(tip, "span", "quiet", `${unit} ${told(line.x[j])}${line.note ? ` · ${line.note}` : ""}`);
    mark(spots[0], line.x[j], line.y[j]);
    place(line.x[j]);
  };
  const closest = (fraction, y) => {
    const x = first + fraction / share * (last - first);
    let found = null, least = 40;
    lines.forEach((line, i) => {
      if (!line.x.length) return;
      const j = nearest(line.x, x);
      if (!isNumber(line.y[j])) return;
      const away = Math.hypot((across(line.x[j]) - fraction) * plot.clientWidth, down(line.y[j]) - y);
      if (away < least) { least = away; found = i; at = j; }
    });
    return found;
  };
  hide();
  if (!lines.some(line => line.x.length)) return;
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect();
    const fraction = (event.clientX - box.left) / box.width;
    if (!many) return showAll(all[at = nearest(all, first + Math.min(fraction / share, 1) * (last - first))]);
    const found = closest(fraction, event.clientY - box.top);
    return found === null ? hide() : showOne(found);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.tabIndex = 0;
  plot.addEventListener("keydown", event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.key === "Escape") hide();
    if (!by) return;
    event.preventDefault();
    if (many) {
      at = Infinity;
      showOne(((lit === null ? (by > 0 ? -1 : 0) : lit) + by + lines.length) % lines.length);
    } else {
      at = Math.min(Math.max(at + (tip.hidden ? 0 : by), 0), all.length - 1);
      showAll(all[at]);
    }
  });
}

function sortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const key = cell => cell.dataset.sort !== undefined ? Number(cell.dataset.sort) : cell.textContent;
  const last = value => isNumber(value) && isNaN(value) ? 1 : 0;
  const order = (a, b) => isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b));
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map(row => [key(row.cells[i]), row]);
      rows.sort(([a], [b]) => last(a) - last(b) || sign * order(a, b));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

document.querySelectorAll("[data-chart]").forEach(chart);
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("circle[data-trial],tr[data-trial]").forEach(part => {
  part.addEventListener("pointerenter", () => light(part.dataset.trial, true));
  part.addEventListener("pointerleave", () => light(part.dataset.trial, false));
});
})();
