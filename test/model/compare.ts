/** How far two clocks may be apart that nobody has moved: what a slow machine takes for one history. */
const toleranceMs = 12_000;

/** A moment, as far from now as it is. */
interface Moment {
  readonly fromNowMs: number;
}

const notCompared = new Set(['attempt_id', 'attemptId', 'attempt', 'last_duplicate_at', 'lastDuplicateAt']);
const isUuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const timeColumns = /(_at|_until|At)$/;
const durations = /^(age_ms|ageMs|lease_left_ms|leaseLeftMs)$/;

/** Puts what one side says into a form that does not depend on its clock and on the ids it drew. */
export function comparable(value: unknown, now: number): unknown {
  const names = new Map<string, string>();
  return visit(value, '');

  function visit(each: unknown, name: string): unknown {
    if (each === null || each === undefined) return null;
    if (durations.test(name)) return moment(now + Number(each));
    if (each instanceof Date) return moment(each.getTime());
    if (typeof each === 'number') return timeColumns.test(name) ? moment(each) : each;
    if (typeof each === 'bigint') return String(each);
    if (typeof each === 'string') return visitText(each);
    if (Buffer.isBuffer(each)) return each.toString('hex');
    if (Array.isArray(each)) return each.map(item => visit(item, ''));
    const members = Object.entries(each).filter(([member]) => !notCompared.has(member));
    return Object.fromEntries(
      members.sort(byName).map(([member, inside]) => [member, visit(inside, member)]),
    );
  }

  function visitText(text: string): unknown {
    // Answers are stored as they were told: nothing can move what time it says in them.
    if (isTime.test(text)) return 'a time';
    if (text.startsWith('{')) return visit(JSON.parse(text), '');
    if (/^\d+$/.test(text)) return Number(text);
    // A fingerprint's window is part of the key that a payment remembers.
    return text.replace(isUuid, nameOf).replace(/^(fp_.*)_\d{13}$/, '$1 and its window');
  }

  function nameOf(id: string): string {
    if (!names.has(id)) names.set(id, `id ${names.size + 1}`);
    return names.get(id) as string;
  }

  function moment(at: number): Moment | null {
    return Number.isFinite(at) && at < 8e15 ? { fromNowMs: at - now } : null;
  }
}

/** @returns where the two differ; `null`: nowhere */
export function unlike(one: unknown, other: unknown, where = ''): string | null {
  if (isMoment(one) && isMoment(other)) {
    return Math.abs(one.fromNowMs - other.fromNowMs) <= toleranceMs ? null : say();
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) {
    const isSeconds =
      where.endsWith('retryAfterSeconds') && typeof one === 'number' && typeof other === 'number';
    return one === other || (isSeconds && Math.abs(one - other) * 1_000 <= toleranceMs) ? null : say();
  }
  const members = new Set([...Object.keys(one), ...Object.keys(other)]);
  const [ours, theirs] = [one as Record<string, unknown>, other as Record<string, unknown>];
  for (const member of members) {
    const difference = unlike(ours[member] ?? null, theirs[member] ?? null, `${where}.${member}`);
    if (difference !== null) return difference;
  }
  return null;

  function say(): string {
    return `${where}: ${JSON.stringify(one)} on PostgreSQL, ${JSON.stringify(other)} in the model`;
  }
}

function isMoment(value: unknown): value is Moment {
  return typeof value === 'object' && value !== null && 'fromNowMs' in value;
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1;
}
