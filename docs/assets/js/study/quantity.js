/* Reads what a reader types, such as "14.2 GB", "1,234,567", "1.4×10⁹ bytes" or "7B parameters", into a number and a unit.

   Where a text could mean two things, one is chosen for good:
   - 1,234 is thousands, since every page of the site writes them so; 1.234 is a decimal, as everywhere on the site.
   - 1,5 and 12,75 and 0,125 are decimal commas, since no group of thousands looks like that. 1.234.567 is thousands.
   - Where both stand in a number, the last one is the decimal mark. Beside spaces or apostrophes a comma is one too.
   - gb and kb, all in small letters, are bytes; Gb and Mb are bits. KB is kB, 1,000 bytes.
   - 7B is seven bytes where bytes are asked for, and seven billion where something is counted.
   - G alone, which some tools take for GB and others for GiB, is refused.
   - A number without a unit is in the unit asked for, but "14 billion" counts bytes where GB are asked for, and a fraction
     such as 3/4 is a share where % are. */

/** @typedef {{dimension: string, size: number, label: string, noun?: string, base?: number, power?: number,
      binary?: boolean, bits?: boolean, per?: {time?: number, noun?: string, label: string}}} Unit
    Of a unit: how many base units it has (bytes, seconds, FLOPs, things, or 1); without its prefix, `base` of them; its
    prefix's `power` of 1,000 or 1,024; what it is counted per. */

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const LONG = ["", "kilo", "mega", "giga", "tera", "peta", "exa"];
const LONG_BINARY = ["", "kibi", "mebi", "gibi", "tebi", "pebi", "exbi"];
const SCALES = {
  thousand: 1e3,
  million: 1e6,
  mn: 1e6,
  billion: 1e9,
  bn: 1e9,
  trillion: 1e12,
  k: 1e3,
  m: 1e6,
  b: 1e9,
  g: 1e9,
  t: 1e12,
};
const NAMES = { param: "parameter", tok: "token", weight: "parameter", req: "request" };

/** The name of a unit of data, such as GiB: of this prefix, which is binary or not, in bits or bytes. */
export const dataName = (power, binary, bits) =>
  (binary && power ? `${PREFIXES[power].toUpperCase()}i` : PREFIXES[power]) + (bits ? "bit" : "B");

/** Unit by spelling, for each dimension. @type {Record<string, Map<string, Unit>>} */
const TABLES = { data: new Map(), time: new Map(), ratio: new Map(), work: new Map() };

function name(dimension, spellings, size, more = {}) {
  for (const spelling of spellings) {
    TABLES[dimension].set(spelling, { dimension, size, base: size, label: spellings[0], ...more });
  }
}

for (const [power, short] of PREFIXES.entries()) {
  for (const binary of power ? [false, true] : [false]) {
    const [many, long] = binary ? [1024 ** power, LONG_BINARY[power]] : [1000 ** power, LONG[power]];
    const si = binary ? `${short.toUpperCase()}i` : short;
    const bits = { power, binary, bits: true, base: 1 / 8 };
    name("data", [`${si}B`, `${long}byte`, `${long}bytes`, `${si}byte`, `${si}bytes`], many, {
      power,
      binary,
      bits: false,
      base: 1,
    });
    name("data", [`${si}bit`, `${si}bits`, `${long}bit`, `${long}bits`, ...(power ? [`${si}b`] : [])], many / 8, bits);
  }
  name("work", [`${short}FLOP`, `${short}FLOPs`], 1000 ** power, { power, base: 1 });
  const perSecond = { time: 1, label: "s" };
  name("work", [`${short}FLOP/s`, `${short}FLOPS`], 1000 ** power, { power, base: 1, per: perSecond });
}
TABLES.data.set("Kb", TABLES.data.get("kb")).delete("kb"); // which small letters make bytes
name("time", ["ns", "nanosecond", "nanoseconds"], 1e-9);
name("time", ["µs", "μs", "us", "microsecond", "microseconds"], 1e-6);
name("time", ["ms", "msec", "millisecond", "milliseconds"], 1e-3);
name("time", ["s", "sec", "secs", "second", "seconds"], 1);
name("time", ["min", "mins", "m", "minute", "minutes"], 60);
name("time", ["h", "hr", "hrs", "hour", "hours"], 3600);
name("time", ["days", "day", "d"], 86400);
name("time", ["weeks", "week"], 7 * 86400);
name("time", ["years", "year"], 365 * 86400);
name("ratio", ["%", "percent", "per cent", "pct", "pp", "percentage points", "points"], 0.01);
name("ratio", ["‰", "permille", "per mille"], 0.001);
name("ratio", ["×", "x", "times", "fold", "-fold", "times as much", "times as many", "times as long"], 1);
name("ratio", ["share", "ratio", "fraction"], 1);

/* Small letters, where no spelling in the letters as they are says otherwise: gb, mib, KB, S. */
const SMALL = Object.fromEntries(
  Object.entries(TABLES).map(([dimension, table]) => {
    const small = new Map();
    for (const [spelling, unit] of table) {
      const key = spelling.toLowerCase();
      if (/^[a-zA-Z]+b$/.test(spelling) && unit.bits) continue; // Gb is bits, but gb are bytes
      if (!small.has(key)) small.set(key, unit);
    }
    return [dimension, small];
  }),
);

const known = (dimension, text) => TABLES[dimension]?.get(text) ?? SMALL[dimension]?.get(text.toLowerCase());

function stem(word) {
  const one = word
    .toLowerCase()
    .replace(/ies$/, "y")
    .replace(/(ch|sh|ss|x)es$/, "$1")
    .replace(/([^s])s$/, "$1");
  return NAMES[one] ?? one;
}

const stems = (text) =>
  new Set(
    text
      .split(/[\s-]+/)
      .filter(Boolean)
      .map(stem),
  );
const share = (one, other) => [...stems(one)].some((word) => stems(other).has(word));

/** What stands behind a stroke or "per". */
function denominator(text) {
  if (!text) return undefined;
  const time = known("time", text);
  return time ? { time: time.size, label: text } : { noun: text, label: text };
}

/** The unit that a problem asks for. @param {string} text as its page says it @returns {Unit} */
export function askedUnit(text) {
  const clean = tidy(text);
  for (const dimension of Object.keys(TABLES)) {
    const whole = known(dimension, clean) ?? known(dimension, clean.replace(/ of .*/, ""));
    if (whole) return { ...whole, label: text.trim() };
  }
  const [above, ...below] = clean.split(/\s*\/\s*|\s+per\s+/);
  const per = denominator(below.join(" per "));
  for (const dimension of Object.keys(TABLES)) {
    const unit = known(dimension, above);
    if (unit) return { ...unit, per, label: text.trim() };
  }
  const [, word, noun] = /^(?:(thousand|million|billion|trillion|[kKMBGT](?= |$))\s*)?(.*)$/.exec(above);
  const size = word ? SCALES[word.toLowerCase()] : 1;
  return { dimension: noun || word ? "count" : "plain", size, base: 1, noun, per, label: text.trim() };
}

/** A text with ordinary spaces, digits, strokes and signs; an exponent that stands high stands behind a ^. */
function tidy(text) {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return text
    .replace(
      /[⁺⁻⁰¹²³⁴-⁹]+/g,
      (high) => `^${[...high].map((c) => (c === "⁻" ? "-" : c === "⁺" ? "" : digits.indexOf(c))).join("")}`,
    )
    .replace(/(\d)(?=[¼-¾⅐-⅞])/g, "$1 ")
    .normalize("NFKC") // thin and no-break spaces, ½, wide digits, both kinds of µ
    .replace(/[−–‐‑]/g, "-")
    .replace(/[’ʼ´`]/g, "'")
    .replace(/[⁄÷]/g, "/")
    .replace(/[*·⋅∙•]/g, (sign) => (sign === "*" ? "*" : "×"))
    .replace(/\s+/g, " ")
    .trim();
}

const NUMBER = /^[+-]?(?:\d(?:[\d,.'_ ]*\d)?\.?|[.,]\d+)(?:e[+-]?\d+)?(?![\d])/i;
const POWER = /^ ?(?:\^|\*\*) ?\(?([+-]?\d{1,3})\)?/;
const SIGN = /^ ?(?:\*|×|x(?= ?\d)|\/) ?(?=[+-]?[.\d])/i;

/** One number without operators; not a number where its marks fit no way of writing one. */
function plain(text) {
  const [, body, exponent = ""] = /^(.*?)(e[+-]?\d+)?$/i.exec(text);
  const [, sign, digits] = /^([+-]?)(.*)$/.exec(body);
  const read = (clean) => Number(sign + clean + exponent);
  const spaced = [" ", "'", "_"].filter((mark) => digits.includes(mark));
  if (spaced.length) {
    const groups = spaced[0] === "_" ? /^\d+(_\d+)+([.,]\d*)?$/ : /^\d{1,3}([ ']\d{3})+([.,]\d*)?$/;
    return spaced.length === 1 && groups.test(digits) ? read(digits.replaceAll(spaced[0], "").replace(",", ".")) : NaN;
  }
  const commas = digits.split(",").length - 1;
  const dots = digits.split(".").length - 1;
  if (commas && dots) {
    const english = digits.lastIndexOf(".") > digits.lastIndexOf(",");
    if (english) return /^\d{1,3}(,\d{2,3})*,\d{3}\.\d*$/.test(digits) ? read(digits.replaceAll(",", "")) : NaN;
    return /^\d{1,3}(\.\d{3})+,\d*$/.test(digits) ? read(digits.replaceAll(".", "").replace(",", ".")) : NaN;
  }
  if (/^[1-9]\d{0,2}(,\d{2,3})*,\d{3}$/.test(digits)) return read(digits.replaceAll(",", ""));
  if (/^[1-9]\d{0,2}(\.\d{3}){2,}$/.test(digits)) return read(digits.replaceAll(".", ""));
  return commas + dots < 2 ? read(digits.replace(",", ".")) : NaN;
}

/** A number, a power of one, or a product or a quotient of several, and what follows. */
function product(text) {
  let [rest, value, fraction, divide] = [text, 1, false, false];
  for (let first = true; ; first = false) {
    if (!first) {
      const sign = SIGN.exec(rest);
      if (!sign) return { value, fraction, rest: rest.trim() };
      divide = sign[0].includes("/");
      fraction ||= divide;
      rest = rest.slice(sign[0].length);
    }
    const found = NUMBER.exec(rest);
    if (!found) return null;
    rest = rest.slice(found[0].length);
    let factor = plain(found[0].trim());
    const power = POWER.exec(rest);
    if (power) {
      factor **= Number(power[1]);
      rest = rest.slice(power[0].length);
    }
    value = divide ? value / factor : value * factor;
  }
}

/** The unit that a reader wrote, seen from the one asked for; a text that says why there is none.
    @param {string} text @param {Unit} asked @param {boolean} fraction @returns {Unit | string} */
function unitOf(text, asked, fraction) {
  if (!text) return fraction && asked.dimension === "ratio" ? known("ratio", "share") : asked;
  const scaled = /^(thousand|million|billion|trillion|mn|bn)s?\b ?(?:of )?(.*)$/i.exec(text);
  if (scaled) {
    const scale = SCALES[scaled[1].toLowerCase()];
    const unit = scaled[2] ? unitOf(scaled[2], asked, false) : { ...asked, size: asked.base, power: undefined };
    return typeof unit === "string" ? unit : { ...unit, size: scale * unit.size, power: undefined, label: text };
  }
  const whole = known(asked.dimension, text) ?? (asked.dimension === "plain" && known("ratio", text));
  const [above, ...below] = whole ? [text] : text.split(/ ?\/ ?| per /);
  let unit = whole || known(asked.dimension, above);
  if (!unit && (asked.dimension === "count" || asked.dimension === "plain")) unit = counted(above, asked);
  if (!unit) {
    const other = Object.keys(TABLES)
      .map((dimension) => known(dimension, above))
      .find(Boolean);
    if (other) return `“${above}” is another kind of unit`;
    if (asked.dimension === "data" && /^[kmgtp]i?$/i.test(above))
      return `${above} alone may be ${above.toUpperCase()}B or ${above.toUpperCase()[0]}iB`;
    return `“${text}” is no unit that belongs here`;
  }
  const per = unit.per ?? denominator(below.join(" per "));
  if (!per || !asked.per) return { ...unit, per };
  if (per.time && asked.per.time) return { ...unit, per, size: (unit.size * asked.per.time) / per.time };
  return per.noun && asked.per.noun && share(per.noun, asked.per.noun)
    ? { ...unit, per }
    : `it is asked per ${asked.per.label}`;
}

/** What is counted, with or without a scale before it: B, million, tokens, M tokens. */
function counted(text, asked) {
  const [, letter, noun] = /^(?:(bn|mn|[kmbgt])(?: |$))?(.*)$/i.exec(text);
  const size = letter ? SCALES[letter.toLowerCase()] : 1;
  const other = Object.keys(TABLES).some((dimension) => known(dimension, noun));
  if (noun && (other || !/\p{L}|[$€£]/u.test(noun) || (asked.noun && !share(noun, asked.noun)))) return undefined;
  return { dimension: asked.dimension, size, base: 1, label: text, noun };
}

/** Reads what a reader typed.
    @param {string} text @param {Unit} asked
    @returns {{value: number, unit: Unit} | {why: string}} `value` in base units */
export function read(text, asked) {
  let clean = tidy(text)
    .replace(/^(?:[≈~∼≅=]|about|approximately|approx\.?|circa|ca\.?|roughly|around)\s*/i, "")
    .replace(/ ?\([^)]*\)$/, "")
    .replace(/^(\d+) (\d{1,2})\/(\d{1,2})(?!\d)/, (_, whole, up, down) => String(Number(whole) + up / down))
    .replace(/^([$€£]) ?(.*)$/, "$2 $1")
    .replace(/[.,;!] *$/, "");
  const times = /^[×x] ?(?=\d)/i.exec(clean);
  if (times) clean = `${clean.slice(times[0].length)} ×`;
  if (!clean) return { why: "there is no number yet" };
  const clock = asked.dimension === "time" && /^(\d+) ?(?:h|hours?) ?(\d+) ?(?:m|min|minutes?)?$/i.exec(clean);
  if (clock) clean = `${60 * clock[1] + Number(clock[2])} min`;
  const found = product(clean);
  if (!found || !Number.isFinite(found.value) || /^[-+.,:]?\d/.test(found.rest))
    return { why: `“${text.trim()}” is not read as one number` };
  const unit = unitOf(found.rest, asked, found.fraction);
  if (typeof unit === "string") return { why: unit };
  return { value: found.value * unit.size, unit };
}

/** What can be read where a unit is asked for. @param {Unit} asked */
export function examples(asked) {
  const { dimension, label, bits, noun } = asked;
  if (dimension === "data") return bits ? "1.5, 1,500 kbit or 200 bytes" : "1.5, 1,500 MB, 1.4 GiB or 1.5e9 bytes";
  if (dimension === "time") return "90, 90 s, 1.5 min or 1,500 ms";
  if (dimension === "ratio") return label === "%" ? "12.5, 12.5 % or 1/8" : "2.5, 2.5× or 5/2";
  if (dimension === "work") return "1.5e12, 1.5×10^12 or 1.5 TFLOP";
  return `1,500, 1.5 thousand, 1.5e3 or 1.5K${noun ? ` ${noun}` : ""}`;
}

/** A number as pages print it: six digits, and all of an integer. */
export function shown(number) {
  const rounded = Number.isInteger(number) ? number : Number(number.toPrecision(6));
  const small = rounded !== 0 && Math.abs(rounded) < 1e-4;
  const text =
    small || Math.abs(rounded) >= 1e15
      ? String(rounded)
      : rounded.toLocaleString("en-US", { maximumSignificantDigits: 16 });
  return text.replace("-", "−");
}
