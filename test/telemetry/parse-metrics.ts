export interface Family {
  help: string;
  type: string;
  /** By name and labels, as written: `paysam_answers_total{outcome="completed"}`. */
  series: Map<string, number>;
}

const name = /[a-zA-Z_:][a-zA-Z0-9_:]*/.source;
const label = /[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/.source;
const header = new RegExp(`^# (HELP|TYPE) (${name}) (.+)$`);
const sample = new RegExp(
  `^(${name})(\\{${label}(?:,${label})*\\})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$`,
);

/**
 * Reads Prometheus's text format 0.0.4, and nothing looser.
 *
 * @throws on the first line that does not belong there
 */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: Family | undefined;
  let currentName = '';
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const told = header.exec(line);
    if (told) {
      const [, kind, of = '', rest = ''] = told;
      if (kind === 'HELP') {
        if (families.has(of)) throw new Error(`${of} is described twice`);
        current = { help: rest, type: '', series: new Map() };
        currentName = of;
        families.set(of, current);
      } else if (current?.type === '' && of === currentName) current.type = rest;
      else throw new Error(`out of place: ${line}`);
      continue;
    }
    const [, of = '', labels = '', value = ''] = sample.exec(line) ?? [];
    const ending = current?.type === 'histogram' ? /^_(bucket|sum|count)$/ : /^$/;
    if (!current || !of.startsWith(currentName) || !ending.test(of.slice(currentName.length))) {
      throw new Error(`out of place: ${line}`);
    }
    if (current.series.has(of + labels)) throw new Error(`told twice: ${of}${labels}`);
    current.series.set(of + labels, Number(value.replace('Inf', 'Infinity')));
  }
  return families;
}

/** One figure. `undefined`: it is not told. */
export function valueOf(text: string, series: string): number | undefined {
  for (const family of parseMetrics(text).values()) {
    if (family.series.has(series)) return family.series.get(series);
  }
  return undefined;
}
