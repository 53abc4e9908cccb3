// Two entries side by side. Each track's numbers are loaded when it is chosen; the choice is in the address.
"use strict";

(() => {
  const pick = { track: document.getElementById("track"), a: document.getElementById("first"), b: document.getElementById("second") };
  const said = document.getElementById("said");
  const result = document.getElementById("result");
  const tracks = {};
  const query = new URLSearchParams(location.search);
  const wanted = { track: query.get("track"), a: query.get("a"), b: query.get("b") };

  window.apb = { track(loaded) { tracks[loaded.track] = loaded; } };

  function load(then) {
    const name = pick.track.value;
    if (tracks[name]) { then(tracks[name]); return; }
    const script = document.createElement("script");
    script.src = `${name}.js`;
    script.onload = () => then(tracks[name]);
    script.onerror = () => { said.textContent = "The data could not be loaded."; };
    document.head.append(script);
  }

  function options(select, entries, value, other) {
    select.replaceChildren(...entries.map((entry) => {
      const made = document.createElement("option");
      made.value = entry.id;
      made.textContent = entry.name;
      return made;
    }));
    const known = entries.some((entry) => entry.id === value);
    select.value = known ? value : entries.length ? entries[Math.min(other, entries.length - 1)].id : "";
  }

  const shown = (value) => (value ? value[0].toFixed(3) : "");
  const ends = (value) => (value && value[1] !== null && value[2] !== null ? `${value[1].toFixed(3)} to ${value[2].toFixed(3)}` : "");
  const signed = (value) => (value < 0 ? "" : "+") + value.toFixed(3);

  function number(text, note) {
    const made = document.createElement("td");
    made.className = "number";
    made.append(text);
    if (note) {
      const small = document.createElement("small");
      small.textContent = note;
      made.append(small);
    }
    return made;
  }

  function draw(track) {
    const [a, b] = [pick.a.value, pick.b.value].map((id) => track.entries.find((entry) => entry.id === id));
    result.hidden = !a || !b;
    if (!a || !b) { said.textContent = "Nobody has been scored on this track yet."; return; }
    document.getElementById("name-a").textContent = a.name;
    document.getElementById("name-b").textContent = b.name;
    let primary = "";
    document.getElementById("values").replaceChildren(...track.metrics.map(([key, title]) => {
      const [x, y] = [a.metrics[key], b.metrics[key]];
      const line = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = title;
      let note = "";
      if (key === track.primary && track.pairs) {
        const [i, j] = [track.pairs.ids.indexOf(a.id), track.pairs.ids.indexOf(b.id)];
        if (i >= 0 && j >= 0) {
          const difference = track.pairs.value[i] - track.pairs.value[j];
          const half = i === j ? 0 : track.pairs.t * track.pairs.deviation[Math.max(i, j)][Math.min(i, j)];
          note = `${signed(difference - half)} to ${signed(difference + half)}`;
          primary = difference - half > 0 || difference + half < 0
            ? `${title} differs beyond chance, taken for this pair alone.` : `${title} cannot be told apart.`;
        }
      }
      line.append(head, number(shown(x), ends(x)), number(shown(y), ends(y)), number(x && y ? signed(x[0] - y[0]) : "", note));
      return line;
    }));
    said.textContent = a === b ? "Choose two different entries." : primary || "Paired differences are not published for this pair.";
    const address = new URLSearchParams({ track: track.track, a: a.id, b: b.id });
    history.replaceState(null, "", `${location.pathname}?${address}`);
  }

  function choose() {
    load((track) => {
      options(pick.a, track.entries, wanted.a || pick.a.value, 0);
      options(pick.b, track.entries, wanted.b || pick.b.value, 1);
      if (pick.a.value === pick.b.value && !wanted.b) options(pick.b, track.entries, null, 1);
      wanted.a = wanted.b = null;
      draw(track);
    });
  }

  document.getElementById("pick").hidden = false;
  if ([...pick.track.options].some((option) => option.value === wanted.track)) pick.track.value = wanted.track;
  pick.track.addEventListener("change", choose);
  for (const select of [pick.a, pick.b]) select.addEventListener("change", () => load(draw));
  choose();
})();
