"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const body = byId("table").tBodies[0];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const headers = [...document.querySelectorAll("#table thead th")];
  const column = Object.fromEntries(
    headers.flatMap((header, index) => {
      const button = header.querySelector("button");
      return button ? [[button.dataset.sort, index]] : [];
    }),
  );
  const rows = [...body.rows].map((row, number) => {
    const cell = (name) => (name in column ? row.cells[column[name]].textContent.trim() : "");
    const points = (name) => (cell(name) === "–" || cell(name) === "" ? -Infinity : Number(cell(name)));
    const lost = cell("lost");
    const name = cell("name");
    return {
      row, number, name, lost: lost ? lost.split(", ") : [], status: cell("status"), late: cell("late"),
      total: points("total"), final: points("final"), text: name.toLocaleLowerCase(),
    };
  });
  let order = rows;

  // -- sorting ---------------------------------------------------------------------------------------
  const compare = {
    name: (a, b) => collator.compare(a.name, b.name),
    total: (a, b) => a.total - b.total || 0,
    final: (a, b) => a.final - b.final || 0,
    late: (a, b) => collator.compare(a.late, b.late),
    lost: (a, b) => a.lost.length - b.lost.length,
    status: (a, b) => collator.compare(a.status, b.status),
  };
  const sortBy = (key, header) => {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    headers.forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    order = [...rows].sort((a, b) => sign * compare[key](a, b) || a.number - b.number);
    body.replaceChildren(...order.map((one) => one.row));
  };
  headers.forEach((header) => {
    const button = header.querySelector("button");
    button?.addEventListener("click", () => sortBy(button.dataset.sort, header));
  });

  // -- filtering -------------------------------------------------------------------------------------
  const search = byId("search"), status = byId("status"), task = byId("task"), shown = byId("shown");
  const filter = () => {
    const text = search.value.trim().toLocaleLowerCase();
    let count = 0;
    for (const one of rows) {
      const fits = one.text.includes(text) && (!status.value || one.status === status.value)
        && (!task.value || one.lost.includes(task.value));
      if (one.row.hidden === fits) one.row.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === rows.length ? `${count} students` : `${count} of ${rows.length} students`;
  };
  const form = search.form;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();

  // -- a student's page ------------------------------------------------------------------------------
  let unpacked = null;
  const unpack = () => {
    unpacked ??= (async () => {
      const bytes = Uint8Array.from(atob(byId("details").textContent), (sign) => sign.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return JSON.parse(await new Response(stream).text());
    })();
    return unpacked;
  };
  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const page = byId("page");
  let current = null;

  // text with `code` in it, as elements
  const words = (name, text, kind) => {
    const element = make(name, "", kind);
    text.split("`").forEach((part, index) => element.append(index % 2 ? make("code", part) : part));
    return element;
  };
  const worth = (points) => `${points} point${points === "1" ? "" : "s"}`;

  const failure = (data, [index, outcome, message, diagnosis, location, picture], same) => {
    const [name, , title, visibility, points] = data.checks[index];
    const article = make("article", "", "failure");
    const heading = make("h4");
    heading.append(make("code", name), ` ${data.outcomes[outcome]}, 0 of ${worth(points)}`);
    article.append(heading);
    const asked = [title, visibility === "hidden" ? "(At grading only.)" : ""].filter(Boolean).join(" ");
    if (asked) article.append(words("p", asked));
    if (same) {
      article.append(make("p", `The same as ${same}.`));
      return article;
    }
    if (message) article.append(make("pre", data.texts[message]));
    if (diagnosis) article.append(words("p", `Likely: ${data.texts[diagnosis]}`, "likely"));
    if (location) article.append(make("pre", data.texts[location]));
    if (picture) {
      const image = make("img");
      image.alt = "The wanted image, the student's, and where they differ";
      image.src = `data:image/png;base64,${data.texts[picture]}`;
      article.append(image);
    }
    return article;
  };

  // the failures of one task: each with its words, and those skipped for them in one line
  const failures = (data, task, results) => {
    const seen = new Map();
    const parts = [make("h3", "", "task")];
    const skipped = [];
    let earned = 0, possible = 0, waiting = 0;
    for (const result of results) {
      const [name, , , , points] = data.checks[result[0]];
      const outcome = data.outcomes[result[1]];
      possible += Number(points);
      if (outcome === "passed") earned += Number(points);
      else if (outcome === "skipped") {
        skipped.push(name.slice(name.indexOf("/") + 1));
        waiting += Number(points);
      }
      else {
        const cause = result[4] ? `${result[1]},${result[2]},${result[4]}` : "";
        parts.push(failure(data, result, seen.get(cause)));
        if (cause && !seen.has(cause)) seen.set(cause, name);
      }
    }
    parts[0].append(make("code", task), ` ${Number(earned.toFixed(2))} of ${worth(String(possible))}`);
    if (skipped.length) parts.push(make("p", `Skipped for it, 0 of ${worth(String(Number(waiting.toFixed(2))))}: ${skipped.join(", ")}.`, "quiet"));
    return parts;
  };

  const show = async (one) => {
    current = one;
    const data = await unpack();
    const [facts, results, problems, output] = data.students[one.number];
    byId("page-name").textContent = one.name;
    byId("page-score").textContent = one.row.cells[column.total].textContent.trim() + " points"
      + ("final" in column ? `, final ${one.row.cells[column.final].textContent.trim()}` : "");
    const list = make("dl", "", "lines");
    for (const [label, value] of facts) {
      const line = make("div");
      line.append(make("dt", data.texts[label]), make("dd", data.texts[value]));
      list.append(line);
    }
    const content = [list];
    for (const problem of problems) content.push(make("p", data.texts[problem], "odd"));
    const tasks = Map.groupBy(results, (result) => data.checks[result[0]][1]);
    const lost = [...tasks].filter(([, found]) => found.some(([, outcome]) => outcome !== 0));
    if (!lost.length) content.push(make("h3", results.length ? "All checks passed" : "Nothing was examined"));
    for (const [task, found] of lost) content.push(...failures(data, task, found));
    if (output) content.push(make("h3", "Printed by the code"), make("pre", data.texts[output]));
    byId("page-body").replaceChildren(...content);
    const visible = order.filter((other) => !other.row.hidden);
    const at = visible.indexOf(one);
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at < 0 || at === visible.length - 1;
    if (!page.open) page.showModal();
    page.scrollTop = 0;
  };
  const step = (by) => {
    const visible = order.filter((other) => !other.row.hidden);
    const next = visible[visible.indexOf(current) + by];
    if (next) show(next);
  };
  document.querySelector("main").addEventListener("click", (event) => {
    const button = event.target.closest("[data-open]");
    if (button) show(rows[Number(button.dataset.open)]);
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => page.close());
  page.addEventListener("click", (event) => { if (event.target === page) page.close(); });
  page.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
})();
