// Value and time of a curve, where the hand points or the arrow keys have gone.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];
const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
const rule = document.createElement('div');
rule.className = 'tip-rule';
rule.hidden = true;
document.body.append(tip, rule);

/** How far back from the newest, in steps, the keyboard has gone. */
let back = 0;

document.addEventListener('pointermove', (event) => {
  const spark = event.target.closest?.('[data-spark]');
  if (!spark) return document.activeElement?.matches('[data-spark]') ? undefined : hide();
  const box = spark.getBoundingClientRect();
  const steps = stepsOf(spark);
  tell(spark, Math.round(((event.clientX - box.left) / box.width) * (steps - 1)));
});
document.addEventListener('pointerleave', hide);
document.addEventListener('focusin', (event) => {
  if (!event.target.matches('[data-spark]')) return hide();
  if (!event.target.matches(':focus-visible')) return;
  back = 0;
  tell(event.target, stepsOf(event.target) - 1);
});
document.addEventListener('focusout', hide);
addEventListener('scroll', hide, { passive: true });
document.addEventListener('keydown', (event) => {
  const spark = event.target.closest?.('[data-spark]');
  const move = { ArrowLeft: 1, ArrowRight: -1, PageUp: 12, PageDown: -12, Home: Infinity, End: -Infinity }[event.key];
  if (event.key === 'Escape') return hide();
  if (!spark || move === undefined) return;
  event.preventDefault();
  const steps = stepsOf(spark);
  back = Math.min(steps - 1, Math.max(0, back + move));
  tell(spark, steps - 1 - back);
});

function stepsOf(spark) {
  return spark.dataset.values.split(';')[0].split(',').length;
}

function tell(spark, at) {
  const { values, names, end, step, spark: unit } = spark.dataset;
  const columns = values.split(';').map((column) => column.split(','));
  const steps = columns[0].length;
  const index = Math.min(steps - 1, Math.max(0, at));
  const when = new Date((Number(end) - (steps - 1 - index) * Number(step)) * 1000).toISOString().slice(11, 19);
  const named = names.split(',');
  const known = columns.some((column) => column[index] !== '');
  const rates = unit === '/s';
  const said = columns.map((column, i) => (rates ? `${format(column[index], unit)} ${named[i]}` : format(column[index], unit)));
  tip.textContent = known ? `${said.join(', ')}${rates ? ' a second' : ''} at ${when} UTC` : `not known at ${when} UTC`;
  tip.hidden = rule.hidden = false;
  const box = spark.getBoundingClientRect();
  const x = box.left + (box.width * index) / Math.max(1, steps - 1);
  rule.style.left = `${x}px`;
  rule.style.top = `${box.top}px`;
  rule.style.height = `${box.height}px`;
  const half = tip.offsetWidth / 2;
  tip.style.left = `${Math.min(document.documentElement.clientWidth - half - 4, Math.max(half + 4, x))}px`;
  tip.style.top = `${box.top - 6}px`;
}

function hide() {
  tip.hidden = rule.hidden = true;
}

function format(text, unit) {
  if (text === '') return '–';
  const value = Number(text);
  if (unit === '/s') return trim(value);
  if (unit === 's')
    return value < 0.1 ? `${Math.round(value * 1000)} ms` : value < 120 ? `${trim(value)} s` : `${Math.round(value / 60)} min`;
  let scaled = value;
  let i = 0;
  for (; scaled >= 1024 && i < UNITS.length - 1; i++) scaled /= 1024;
  return `${trim(scaled)} ${UNITS[i]}`;
}

function trim(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 });
}
