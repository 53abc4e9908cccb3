// Writes a submission's YAML, checked by the JSON Schema that is published in data/v1/schemas.
"use strict";

(() => {
  const form = document.getElementById("entry");
  const schema = JSON.parse(document.getElementById("schema").textContent);
  const problems = document.getElementById("problems");
  const yaml = document.getElementById("yaml");
  const save = document.getElementById("save");
  const LISTS = ["tracks", "training_data"];
  const RESOURCES = ["memory_gb", "timeout_minutes"];
  const TRAINING = ["url", "sha256"];
  const NESTED = ["resources", "few_shot", "training_sequences"];

  function resolve(rule) {
    if (rule.$ref) return resolve(rule.$ref.split("/").slice(1).reduce((at, key) => at[key], schema));
    if (rule.anyOf) return resolve(rule.anyOf.find((one) => one.type !== "null"));
    return rule;
  }

  function check(name, value, rule) {
    const r = resolve(rule);
    if (Array.isArray(value)) {
      if (new Set(value).size < value.length) return `${name} names an item twice`;
      for (const item of value) {
        const wrong = check(name, item, r.items);
        if (wrong) return wrong;
      }
      return "";
    }
    if (value && typeof value === "object") {
      for (const key of r.required || []) if (!(key in value)) return `${name}.${key} is required`;
      for (const [key, one] of Object.entries(value)) {
        const wrong = check(`${name}.${key}`, one, r.properties[key]);
        if (wrong) return wrong;
      }
      return "";
    }
    if (r.enum && !r.enum.includes(value)) return `${name}: “${value}” is not one of ${r.enum.join(", ")}`;
    if (r.type === "number" || r.type === "integer") {
      if (typeof value !== "number" || !Number.isFinite(value)) return `${name} must be a number`;
      if (r.minimum !== undefined && value < r.minimum) return `${name} is at least ${r.minimum}`;
      if (r.exclusiveMinimum !== undefined && value <= r.exclusiveMinimum) return `${name} is more than ${r.exclusiveMinimum}`;
      if (r.maximum !== undefined && value > r.maximum) return `${name} is at most ${r.maximum}`;
      return "";
    }
    if (r.maxLength !== undefined && [...value].length > r.maxLength) return `${name} has more than ${r.maxLength} characters`;
    if (r.pattern && !new RegExp(r.pattern, "u").test(value)) {
      return r.pattern.startsWith("^https") ? `${name} must be an https:// address` : `${name} does not have the right form`;
    }
    // eslint-disable-next-line no-control-regex
    if (/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u.test(value)) return `${name} holds invisible characters`;
    return "";
  }

  function entry() {
    const found = {};
    for (const [key, raw] of new FormData(form)) {
      const value = String(raw).split(/\s+/).filter(Boolean).join(" ");
      if (key.startsWith("card.")) { if (value) state(found, key.split(".").slice(1), value); continue; }
      if (key === "id" || key === "gpu" || ["mode", "meta_training"].includes(key) || [...RESOURCES, ...TRAINING].includes(key) || !value) continue;
      found[key] = LISTS.includes(key) ? value.split(/[\s,]+/).filter(Boolean) : value;
    }
    const resources = form.elements.gpu.checked ? { gpu: true } : {};
    for (const key of RESOURCES) {
      const value = form.elements[key].value.trim();
      if (value) resources[key] = Number(value);
    }
    if (Object.keys(resources).length) found.resources = resources;
    const learnt = form.elements.meta_training.value.split(",").map((name) => name.trim()).filter(Boolean);
    if (form.elements.mode.value) found.few_shot = { mode: form.elements.mode.value };
    if (learnt.length) found.few_shot = { ...found.few_shot, meta_training: learnt };
    const file = TRAINING.map((key) => [key, form.elements[key].value.trim()]);
    if (file.some(([, value]) => value)) found.training_sequences = Object.fromEntries(file);
    return found;
  }

  // A variable of the card, such as ["open_code", "status"]; the card is written last.
  function state(found, path, value) {
    let at = found.reproducibility ||= { card: 1 };
    for (const key of path.slice(0, -1)) at = at[key] ||= {};
    at[path.at(-1)] = value;
  }

  const NEEDED = { open_code: ["repository", "commit"], software: ["lock_file", "sha256"] };

  function unsaid(card) {
    return Object.entries(card).flatMap(([name, one]) => {
      if (typeof one !== "object" || !one.status) return [];
      const needed = one.status === "yes" ? NEEDED[name] || [] : ["reason"];
      return needed.filter((key) => !(key in one)).map((key) => `${name} says ${one.status}: ${key} is required`);
    });
  }

  function wrong(found) {
    const said = [];
    const id = form.elements.id.value.trim();
    if (!/^[a-z0-9][a-z0-9-]{2,63}$/.test(id)) said.push("id: 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit");
    for (const key of schema.required) if (!(key in found)) said.push(`${key} is required`);
    for (const [key, value] of Object.entries(found)) {
      if (NESTED.includes(key)) {
        const rules = resolve(schema.properties[key]).properties;
        for (const [name, one] of Object.entries(value)) if (name !== "gpu") said.push(check(name, one, rules[name]));
      } else if (key === "reproducibility") {
        said.push(check("card", value, schema.properties[key]), ...unsaid(value));
      } else {
        said.push(check(key, value, schema.properties[key]));
      }
    }
    for (const [key, sets] of [["training_data", found.training_data], ["meta_training", found.few_shot?.meta_training]]) {
      for (const alone of ["none", "undisclosed"]) {
        if (sets?.includes(alone) && sets.length > 1) said.push(`${key} says ${alone} beside other sets`);
      }
    }
    return said.filter(Boolean);
  }

  // JSON strings are YAML strings, so that nothing needs escaping by hand.
  function flow(value) {
    if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
    if (value && typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${k}: ${flow(v)}`).join(", ")}}`;
    return JSON.stringify(value);
  }

  function written(found) {
    return Object.entries(found).map(([key, value]) => {
      if (key === "reproducibility") return `${key}:\n${Object.entries(value).map(([k, v]) => `  ${k}: ${flow(v)}\n`).join("")}`;
      if (typeof value === "object") return `${key}: ${flow(value)}\n`;
      return `${key}: ${JSON.stringify(value)}\n`;
    }).join("");
  }

  function update() {
    const found = entry();
    const said = wrong(found);
    problems.replaceChildren(...said.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    yaml.hidden = save.hidden = said.length > 0;
    yaml.textContent = said.length ? "" : written(found);
  }

  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("copy").addEventListener("click", () => {
    if (navigator.clipboard) navigator.clipboard.writeText(yaml.textContent);
    else getSelection().selectAllChildren(yaml);
  });
  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([yaml.textContent], { type: "application/yaml" }));
    link.download = `${form.elements.id.value.trim()}.yaml`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
