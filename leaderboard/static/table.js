// Sorting, filtering and choosing columns. The page is complete without it; its data are loaded when first needed.
// Strangers' text only ever becomes a text node. The state is in the address, so that a view can be linked to.
"use strict";

(() => {
  const table = document.getElementById("board");
  const rows = document.getElementById("rows");
  const status = document.getElementById("status");
  const root = table.dataset.root;
  const STEP = 150;
  const SVG = "http://www.w3.org/2000/svg";
  const input = {
    q: document.getElementById("search"),
    trained: document.getElementById("trained"),
    scored: document.getElementById("scored"),
  };
  let data = null;
  let waiting = [];
  let shown = STEP;
  let state = read();

  window.apb = {
    rows(loaded) {
      data = loaded;
      data.at = Object.fromEntries(data.columns.map((column, k) => [column.key, k]));
      data.search = data.rows.map((row) =>
        [row[data.at.model], row[data.at.author], row[data.at.backbone], row[data.at.head]]
          .map((cell) => (cell ? cell[0] : "")).join(" ").toLowerCase());
      waiting.splice(0).forEach((action) => action());
    },
  };

  function withData(action) {
    if (data) { action(); return; }
    waiting.push(action);
    if (waiting.length > 1) return;
    const script = document.createElement("script");
    script.src = "rows.js";
    script.onerror = () => { waiting = []; status.textContent = "The data could not be loaded."; };
    document.head.append(script);
  }

  // -- the address ----------------------------------------------------------------------------------------------------

  function read() {
    const query = new URLSearchParams(location.search);
    const sort = query.get("sort") || "";
    return {
      sort: sort.replace(/^-/, ""), down: sort.startsWith("-"), q: query.get("q") || "",
      trained: query.get("trained") || "", scored: query.get("scored") === "1",
      cols: query.get("cols") ? query.get("cols").split(",") : null,
    };
  }

  function address() {
    const query = new URLSearchParams();
    if (state.sort) query.set("sort", (state.down ? "-" : "") + state.sort);
    if (state.q) query.set("q", state.q);
    if (state.trained) query.set("trained", state.trained);
    if (state.scored) query.set("scored", "1");
    if (state.cols) query.set("cols", state.cols.join(","));
    const text = query.toString();
    return location.pathname + (text ? "?" + text : "");
  }

  function change(changes, replace) {
    state = { ...state, ...changes };
    shown = STEP;
    history[replace ? "replaceState" : "pushState"](null, "", address());
    withData(draw);
  }

  // -- one cell, as leaderboard/table.py makes it -----------------------------------------------------------------------

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function bar([low, middle, high]) {
    const svg = document.createElementNS(SVG, "svg");
    const attributes = { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" };
    for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
    for (const [d, name] of [[`M${low} 4H${high}`, ""], [`M${middle} 0V8`, "at"]]) {
      const path = document.createElementNS(SVG, "path");
      if (name) path.setAttribute("class", name);
      path.setAttribute("d", d);
      svg.append(path);
    }
    return svg;
  }

  function cell(column, value) {
    const [text, , rest] = value || ["", null];
    const { h: href, n: note, g: tags, l: links, b: interval, y: style } = rest || {};
    const made = element(column.key === "model" ? "th" : "td", undefined, column.numeric ? "number" : "");
    if (column.key === "model") made.scope = "row";
    for (const [name, url] of links || []) {
      const link = element("a", name);
      link.href = url;
      link.rel = "nofollow noopener";
      made.append(link, " ");
    }
    let inner = column.key === "model" || column.key === "author" ? element("bdi", text) : document.createTextNode(text);
    if (href) {
      const link = element("a");
      link.href = root + href;
      link.append(inner);
      inner = link;
    }
    if (style && text) {
      const styled = element(style === "code" ? "code" : "span", undefined, style === "code" ? "" : style);
      styled.append(inner);
      inner = styled;
    }
    made.append(inner);
    for (const tag of tags || []) made.append(" ", element("span", tag, "tag"));
    if (interval) made.append(bar(interval));
    if (note) {
      const small = element("small");
      small.append(element("bdi", note));
      made.append(small);
    }
    return made;
  }

  // -- the table --------------------------------------------------------------------------------------------------------

  function chosen() {
    const known = state.cols ? state.cols.filter((key) => key in data.at) : [];
    return known.length ? data.columns.filter((c) => c.key === "model" || known.includes(c.key))
      : data.columns.filter((c) => c.shown);
  }

  function line(k, columns) {
    const made = element("tr", undefined, data.classes[k]);
    for (const column of columns) made.append(cell(column, data.rows[k][data.at[column.key]]));
    return made;
  }

  function sorted(indices) {
    const at = data.at[state.sort];
    if (at === undefined) return indices;
    const key = (k) => { const value = data.rows[k][at]; return value ? value[1] : null; };
    const sign = state.down ? -1 : 1;
    return [...indices].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null) || a - b;  // missing comes last, either way
      return (x < y ? -sign : x > y ? sign : 0) || a - b;  // ties stay as they were
    });
  }

  function draw() {
    const columns = chosen();
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const trained = data.at.trained_on;
    const all = data.rows.map((_, k) => k);
    const found = sorted(all.filter((k) =>
      words.every((word) => data.search[k].includes(word))
      && (!state.trained || data.rows[k][trained][0] === state.trained)
      && (!state.scored || data.classes[k].split(" ")[0] === "ok")));
    const drawn = found.slice(0, shown);
    const inside = new Set(drawn);
    const references = all.filter((k) => data.classes[k].includes("reference") && !inside.has(k));

    const focus = document.activeElement.closest("th[data-key]")?.dataset.key;
    table.tHead.replaceChildren(head(columns));
    if (focus) table.tHead.querySelector(`[data-key="${CSS.escape(focus)}"] button`)?.focus();
    rows.replaceChildren(...drawn.map((k) => line(k, columns)));
    let extra = document.getElementById("references");
    if (extra) extra.remove();
    if (references.length) {
      extra = element("tbody");
      extra.id = "references";
      const group = element("tr", undefined, "group");
      const title = element("th", "Reference models");
      title.colSpan = columns.length;
      title.scope = "colgroup";
      group.append(title);
      extra.append(group, ...references.map((k) => line(k, columns)));
      table.append(extra);
    }
    const pages = document.getElementById("pages");
    if (pages) pages.hidden = true;
    document.getElementById("more-line").hidden = found.length <= shown;
    const order = columns.find((c) => c.key === state.sort);
    status.textContent = `${found.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} entries`
      + (order ? `, by ${order.title}, ${state.down ? "descending" : "ascending"}` : "");
    controls();
  }

  function head(columns) {
    const made = element("tr");
    for (const column of columns) {
      const th = element("th", undefined, column.numeric ? "number" : "");
      th.scope = "col";
      th.dataset.key = column.key;
      if (column.help) th.title = column.help;
      header(th, column.title, column.sortable, column.numeric);
      made.append(th);
    }
    return made;
  }

  function header(th, title, sortable, numeric) {
    if (!sortable) { th.textContent = title; return; }
    const key = th.dataset.key;
    const current = state.sort === key;
    th.setAttribute("aria-sort", current ? (state.down ? "descending" : "ascending") : "none");
    const button = element("button", title, "sort");
    button.type = "button";
    button.addEventListener("click", () => {
      const first = numeric && key !== "tier" && key !== "ranks" && key !== "seconds";  // best first
      if (state.sort !== key) change({ sort: key, down: first });
      else if (state.down === first) change({ down: !first });
      else change({ sort: "", down: false });
    });
    th.replaceChildren(button);
  }

  function controls() {
    if (document.activeElement !== input.q) input.q.value = state.q;
    input.trained.value = state.trained;
    input.scored.checked = state.scored;
    const box = document.getElementById("columns");
    if (!data || box.contains(document.activeElement)) return;
    const shownKeys = new Set(chosen().map((c) => c.key));
    box.replaceChildren(...data.columns.filter((c) => c.key !== "model").map((column) => {
      const label = element("label");
      const check = element("input");
      check.type = "checkbox";
      check.value = column.key;
      check.checked = shownKeys.has(column.key);
      check.addEventListener("change", () => {
        const keys = [...box.querySelectorAll("input:checked")].map((c) => c.value);
        change({ cols: keys.length ? keys : ["model"] });
      });
      label.append(check, " ", column.title);
      return label;
    }));
  }

  // -- start ------------------------------------------------------------------------------------------------------------

  document.getElementById("controls").hidden = false;
  for (const th of table.tHead.querySelectorAll("th[data-key]")) {
    header(th, th.textContent, th.dataset.key !== "links", th.classList.contains("number"));
  }
  input.q.addEventListener("input", () => change({ q: input.q.value.trim() }, true));
  input.trained.addEventListener("change", () => change({ trained: input.trained.value }));
  input.scored.addEventListener("change", () => change({ scored: input.scored.checked }));
  document.querySelector(".chooser").addEventListener("toggle", () => withData(controls));
  document.getElementById("reset").addEventListener("click", () => {
    input.q.value = "";
    change({ sort: "", down: false, q: "", trained: "", scored: false, cols: null });
  });
  const more = document.getElementById("more");
  more.addEventListener("click", () => { shown += STEP; withData(draw); });
  if (Number(table.dataset.rows) > table.tBodies[0].rows.length && !document.querySelector("#pages [aria-current]:not(:first-child)")) {
    document.getElementById("more-line").hidden = false;
  }
  window.addEventListener("popstate", () => { state = read(); shown = STEP; withData(draw); });
  controls();
  if (address() !== location.pathname) withData(draw);
})();
