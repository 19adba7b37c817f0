// Formats numbers, amounts and times in the language of the browser. Times are local. `utc` formats their tooltips.

const locale = undefined;
const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const utcDayFormat = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const fullFormat = new Intl.DateTimeFormat(locale, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

export const NOTHING = "–";

export const count = (number) => (number === null || number === undefined ? NOTHING : integer.format(number));
export const compactCount = (number) => compact.format(number);
export const percent = (part, whole) => (whole > 0 ? share.format(part / whole) : NOTHING);

/** Shows one decimal if it is useful. */
export function rate(number) {
  if (number === null || number === undefined) return NOTHING;
  return (Math.abs(number) < 100 && number !== 0 ? oneDigit : integer).format(number);
}

const moneyFormats = new Map();
function moneyFormat(currency, options) {
  const key = `${currency} ${options.notation ?? ""}`;
  if (!moneyFormats.has(key)) {
    let format;
    try {
      format = new Intl.NumberFormat(locale, { style: "currency", currency, ...options });
    } catch {
      // The currency is not a code of three letters. The amount is shown with its text unchanged.
      const number = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, ...options });
      format = { format: (amount) => `${number.format(amount)} ${currency}` };
    }
    moneyFormats.set(key, format);
  }
  return moneyFormats.get(key);
}

/** @param {string} amount a decimal. Its own digits are formatted, without a floating-point number. */
export const money = (amount, currency) => moneyFormat(currency, {}).format(amount);
export const compactMoney = (amount, currency) =>
  moneyFormat(currency, { notation: "compact", maximumFractionDigits: 1 }).format(amount);

const units = { d: "day", h: "hour", min: "minute", s: "second", ms: "millisecond" };
const unitFormats = Object.fromEntries(Object.entries(units).map(([short, unit]) =>
  [short, new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 1 })]));

/** A duration in at most two units: 850ms, 4.2s, 3m 20s, 2h 5m, 4d. */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING;
  if (ms < 0.5) return unitFormats.s.format(0);
  if (ms < 999.5) return unitFormats.ms.format(Math.round(ms));
  if (ms < 59_950) return unitFormats.s.format(Math.round(ms / 100) / 10);
  if (ms < 3_599_500) return two(Math.round(ms / 1_000), 60, "min", "s");
  if (ms < 86_370_000) return two(Math.round(ms / 60_000), 60, "h", "min");
  return two(Math.round(ms / 3_600_000), 24, "d", "h");
}

function two(value, size, large, small) {
  const rest = value % size;
  const first = unitFormats[large].format(Math.floor(value / size));
  return rest === 0 ? first : `${first} ${unitFormats[small].format(rest)}`;
}

export const seconds = (value) => (value === null || value === undefined ? NOTHING : duration(value * 1_000));

/** The time of day, with the date if it is not today. */
export function moment(iso, now) {
  if (!iso) return NOTHING;
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date(now).toDateString();
  return (isToday ? clockFormat : fullFormat).format(at);
}

/** The first day of data that is counted by whole days. */
export const sinceDay = (iso) => `since ${utcDayFormat.format(new Date(iso))} (UTC)`;

/** The label of a bucket on an axis: its time or its day. Days are UTC days. */
export function bucketTick(at, resolution) {
  if (resolution === "day") return utcDayFormat.format(at);
  const isMidnight = new Date(at).getHours() === 0 && new Date(at).getMinutes() === 0;
  return (isMidnight ? dayFormat : minuteFormat).format(at);
}

/** The name of a bucket in a tooltip or a table. */
export function bucketName(at, resolution) {
  if (resolution === "day") return `${utcDayFormat.format(at)} (UTC)`;
  return `${dayFormat.format(at)}, ${minuteFormat.format(at)}`;
}

/** `2026-11-21 14:03:22.123 UTC` */
export function utc(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? String(iso) : at.toISOString().replace("T", " ").replace("Z", " UTC");
}
