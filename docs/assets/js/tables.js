/* Tables in a `.wm-sortable` are sorted by a column whose header is pressed. Without this script they are plain tables.

   Material's documentation takes tablesort for it, which makes stops for the keyboard of the headers themselves, answers to
   Enter alone, and has to be told what a number is: the code around it would be longer than a sort. So headers get a button
   here, as the practices for ARIA have it, and the browser does the rest. */
const number = (cell) => Number(cell.textContent.replaceAll(",", "").replace("−", "-").trim() || NaN);
const words = new Intl.Collator("en", { numeric: true });

function sort(table, header) {
  const up = header.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, cell: row.cells[header.cellIndex] }));
  const all = rows.some(({ cell }) => !Number.isNaN(number(cell)));
  rows.sort((a, b) => {
    const [one, other] = [number(a.cell), number(b.cell)];
    if (all && (Number.isNaN(one) || Number.isNaN(other))) return Number.isNaN(one) - Number.isNaN(other); // to the end
    const order = all ? one - other : words.compare(a.cell.textContent, b.cell.textContent);
    return up ? order : -order;
  });
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows.map(({ row }) => row));
}

function mount() {
  for (const table of document.querySelectorAll(".wm-sortable table")) {
    for (const header of table.tHead?.rows[0].cells ?? []) {
      if (header.querySelector("button")) continue;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }
}

document$.subscribe(mount); // Material swaps pages without a reload, and tells of each
