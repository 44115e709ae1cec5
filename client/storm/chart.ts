import { outages } from './outages.js';
import { policies, type PolicyName } from './policies.js';
import { simulate, type Run, type Setting } from './simulate.js';
import { sumOf } from './tally.js';

/**
 * Draws what the tables say, in one picture: a slow-down that retries keep alive, and a wave that jitter breaks.
 *
 * Plain SVG, made of text, light or dark as the reader's screen is. The labels stand beside their lines; where they stand
 * was chosen by eye, for the default setting.
 */
export function draw(setting: Setting): string {
  const slow = { left: 84, top: 112, width: 640, height: 190 };
  const well = { ...slow, top: 352, height: 150 };
  const wave = { left: 84, top: 590, width: 376, height: 110 };
  const spread = { ...wave, left: 548 };
  const perSecond = (setting.server.workers * 1_000) / setting.server.serviceMs;
  const peak = setting.clients * 4.5;

  const runs = lines.map(line => ({
    ...line,
    run: simulate(setting, policies[line.policy], outages['slow-down']),
  }));
  const lost = (policy: PolicyName) => simulate(setting, policies[policy], outages['lost-connections']);
  const calls = (setting.clients * 1_000) / setting.betweenCallsMs;
  const seconds = scale([-10, 180], [slow.left, slow.left + slow.width]);
  const sent = scale([0, peak], [slow.top + slow.height, slow.top]);
  const ended = scale([0, perSecond * 1.15], [well.top + well.height, well.top]);

  return [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 744" role="img" aria-labelledby="title described">',
    '<title id="title">Retries without a budget keep a slow-down alive</title>',
    `<desc id="described">${description}</desc>`,
    `<style>${style}</style>`,
    '<rect class="page" width="960" height="744"/>',
    text([28, 40], 'The server was slow for 30 seconds. The retries made it last.', 'title'),
    text(
      [28, 64],
      `${number(setting.clients)} clients make ${number(calls)} calls a second of a server that can do ${number(perSecond)}, and wait 15 s for each answer.`,
      'quiet',
    ),

    ...[slow, well].map(
      ({ top, height }) =>
        `<rect class="band" x="${seconds(0)}" y="${top}" width="${fixed(seconds(30) - seconds(0))}" height="${height}"/>`,
    ),
    text([seconds(15), slow.top + 16], 'slow', 'quiet middle'),
    text([28, slow.top - 14], 'Requests a second that reach the server', 'heading'),
    ...axis(slow, sent, steps(peak, 4)),
    ...line([seconds(-10), seconds(180)], sent(perSecond), 'capacity'),
    text([seconds(180) + 8, sent(perSecond) + 4], 'what it can do', 'quiet'),
    ...runs.map(({ run, colour }) => path(run, run.tally.sendsIn, seconds, sent, colour)),
    text([seconds(180) + 8, sent(calls * 4) - 5], 'without a budget,', 'label red'),
    text([seconds(180) + 8, sent(calls * 4) + 11], 'whatever the backoff', 'label red'),
    text([seconds(51), sent(calls * 2.55)], 'with the budget', 'label blue'),
    text([seconds(67), sent(calls * 0.42)], 'with the budget and a breaker', 'label green'),
    text([seconds(180) + 8, sent(calls) + 4], 'no retries', 'label grey'),

    text([28, well.top - 14], 'Calls a second that end well', 'heading'),
    ...axis(well, ended, steps(perSecond, 2)),
    ...line([seconds(-10), seconds(180)], ended(perSecond), 'capacity'),
    text([seconds(180) + 8, ended(perSecond) + 4], 'what it can do', 'quiet'),
    ...runs.map(({ run, colour }) => path(run, run.tally.endedWellIn, seconds, ended, colour)),
    text([seconds(180) + 8, ended(0) - 14], 'without a budget:', 'label red'),
    text([seconds(180) + 8, ended(0) + 2], 'not one', 'label red'),
    text([seconds(135), ended(perSecond * 0.32)], 'with the budget', 'label blue'),
    text([seconds(64), ended(perSecond * 0.32)], 'with the budget and a breaker', 'label green'),
    text([seconds(61.5), ended(perSecond * 0.8)], 'no retries', 'label grey middle'),
    ...[0, 30, 60, 90, 120, 150, 180].map(second =>
      text(
        [seconds(second), well.top + well.height + 18],
        second === 0 ? '0 s' : String(second),
        'quiet middle',
      ),
    ),

    text(
      [28, wave.top - 36],
      `${number(calls * 2)} connections break at once. When do their owners come back? <tspan class="quiet">Requests in each 10 ms</tspan>`,
      'heading',
    ),
    ...waves(
      wave,
      lost('exponential'),
      setting.clients * 2.2,
      'without jitter: all at once, three times',
      'red',
    ),
    ...waves(spread, lost('full jitter'), setting.clients * 2.2, 'with full jitter', 'blue'),
    '</svg>',
    '',
  ].join('\n');
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

type Scale = (value: number) => number;

const lines = [
  { policy: 'no retries', colour: 'grey' },
  { policy: 'full jitter', colour: 'red' },
  { policy: 'budget', colour: 'blue' },
  { policy: 'breaker', colour: 'green' },
] as const;

const description =
  'Two charts over three minutes. Without a retry budget the server is sent four times its calls for good, and no ' +
  'call ends well. With the budget it is sent less than it can do again half a minute after the slow-down, and calls ' +
  'end well about two minutes after it; with a breaker as well, after half a minute. Below: callers who lost their ' +
  'connections together come back in three spikes without jitter, and spread over half a second with it.';

/** The colours can be told apart by those who see few of them (after Okabe and Ito). */
const style = `
  svg { font: 14px system-ui, sans-serif; --page: #fff; --ink: #1c2024; --faint: #60646c; --rule: #e3e5e8; --band: #f3ead8;
    --red: #c2410c; --blue: #0064a8; --green: #00795a; --grey: #7a7f87 }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0d1117; --ink: #e6e8eb; --faint: #9aa1aa; --rule: #262c34; --band: #2a2418;
      --red: #ff9466; --blue: #6cb8f5; --green: #4fd1a5; --grey: #8d949d } }
  text { fill: var(--ink) } .title { font-size: 22px; font-weight: 650 } .heading { font-weight: 600 }
  .quiet { fill: var(--faint); font-size: 13px; font-weight: 400 } .label { font-weight: 600; font-size: 13px }
  .middle { text-anchor: middle } .end { text-anchor: end } .page { fill: var(--page) } .band { fill: var(--band) }
  .rule { stroke: var(--rule) } .capacity { stroke: var(--faint); stroke-dasharray: 2 4 }
  path { fill: none; stroke-width: 2.25; stroke-linejoin: round } path.grey { stroke-width: 1.75 }
  path.red { stroke: var(--red) } path.blue { stroke: var(--blue) } path.green { stroke: var(--green) }
  path.grey { stroke: var(--grey) } path.bars { stroke-width: 2.8 }
  text.red { fill: var(--red) } text.blue { fill: var(--blue) } text.green { fill: var(--green) }
  text.grey { fill: var(--grey) }
`;

/** One point for each two seconds: fewer, and edges blur; more, and chance trembles. */
const pointMs = 2_000;

function path(run: Run, counts: Uint32Array, x: Scale, y: Scale, colour: string): string {
  const points: string[] = [];
  for (let from = 0; from + pointMs <= run.tally.lastsMs; from += pointMs) {
    const middle = (from + pointMs / 2 - run.beginsAtMs) / 1_000;
    const perSecond = sumOf(counts, from, from + pointMs) / (pointMs / 1_000);
    points.push(`${fixed(x(middle))} ${fixed(y(perSecond))}`);
  }
  return `<path class="${colour}" d="M${points.join('L')}"/>`;
}

/** Bars of 10 ms each, for a second from the moment at which the server is back. */
function waves(box: Box, run: Run, most: number, label: string, colour: string): string[] {
  const y = scale([0, most], [box.top + box.height, box.top]);
  const x = scale([0, 1_000], [box.left, box.left + box.width]);
  const bars: string[] = [];
  for (let ms = 0; ms < 1_000; ms += 10) {
    const height = y(0) - y(sumOf(run.tally.sendsIn, run.backAtMs + ms, run.backAtMs + ms + 10));
    bars.push(`M${fixed(x(ms + 5))} ${fixed(y(0))}v${fixed(-height)}`);
  }
  return [
    ...axis(box, y, steps(most, 2)),
    `<path class="bars ${colour}" d="${bars.join('')}"/>`,
    text([box.left + box.width, box.top - 6], label, `label end ${colour}`),
    ...[0, 250, 500, 750, 1_000].map(ms =>
      text([x(ms), box.top + box.height + 18], ms === 1_000 ? '1 s' : `${ms} ms`, 'quiet middle'),
    ),
  ];
}

function axis(box: Box, y: Scale, values: readonly number[]): string[] {
  return values.flatMap(value => [
    ...line([box.left, box.left + box.width], y(value), 'rule'),
    text([box.left - 10, y(value) + 4], number(value), 'quiet end'),
  ]);
}

/** Zero, and a few round numbers up to the most. */
function steps(most: number, about: number): number[] {
  const magnitude = 10 ** Math.floor(Math.log10(most / about));
  const step = [1, 2, 5, 10].map(by => by * magnitude).find(by => most / by <= about + 0.99) ?? most;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

function line([from, to]: [number, number], y: number, kind: string): string[] {
  return [`<line class="${kind}" x1="${fixed(from)}" x2="${fixed(to)}" y1="${fixed(y)}" y2="${fixed(y)}"/>`];
}

function text([x, y]: [number, number], words: string, kind: string): string {
  return `<text class="${kind}" x="${fixed(x)}" y="${fixed(y)}">${words}</text>`;
}

function scale([from, to]: [number, number], [start, end]: [number, number]): Scale {
  return value => start + ((value - from) / (to - from)) * (end - start);
}

function number(value: number): string {
  return value.toLocaleString('en-GB');
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}
