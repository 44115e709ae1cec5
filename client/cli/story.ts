import type { ClientEvent, Exchange } from '../src/client.js';
import { printable, type Screen } from './screen.js';

type Event<Type extends ClientEvent['type']> = Extract<ClientEvent, { type: Type }>;

/** How often a countdown is redrawn: often enough to be seen to run. */
const redrawMs = 100;

/**
 * Tells what happens while it happens: one line for each attempt, and one for each wait. Why a command takes ten
 * seconds is then no riddle, and what is kept safe by the key can be seen.
 */
export class Story {
  /** What each call asked for: only its first event says so. */
  private readonly asked = new Map<number, string>();
  private readonly told = new Set<string>();
  private countdown: NodeJS.Timeout | undefined;
  private readonly undoneWaits = new Map<number, string>();

  /** @param tellsKeys in every line: for commands that make several calls at once */
  constructor(
    private readonly screen: Screen,
    private readonly tellsKeys: boolean,
  ) {}

  tell(event: ClientEvent): void {
    this.stop();
    switch (event.type) {
      case 'attempt':
        this.attempt(event);
        return;
      case 'exchange':
        this.line(event, this.exchanged(event));
        return;
      case 'wait':
        this.wait(event);
        return;
      case 'give_up':
        this.line(event, this.screen.styled('yellow', `gave up: ${reasons[event.why]}`));
        return;
      case 'end':
        this.asked.delete(event.call);
        this.undoneWaits.delete(event.call);
    }
  }

  /** Nothing more is drawn; what comes next begins on a clean line. */
  stop(): void {
    clearInterval(this.countdown);
    this.screen.clear();
  }

  /** The key first, and once: whatever happens from here on, it can be copied from the screen. */
  private attempt(event: Event<'attempt'>): void {
    const { call, attempt, method, path, idempotencyKey: key } = event;
    this.asked.set(call, `${method} ${printable(path)}`);
    if (key !== null && !this.told.has(key) && !this.tellsKeys) this.line(event, `key ${printable(key)}`);
    if (key !== null) this.told.add(key);
    const waited = this.undoneWaits.get(call);
    if (waited !== undefined) this.line(event, waited);
    this.undoneWaits.delete(call);
    if (!this.tellsKeys) this.screen.draw(`attempt ${attempt}  ${this.asked.get(call) ?? ''} …`);
  }

  private exchanged({ call, attempt, exchange, requestId, replayed, tookMs }: Event<'exchange'>): string {
    const came = described(exchange, replayed);
    const isFine = exchange.kind === 'answered' && exchange.status < 300;
    const which = requestId === null ? '' : this.screen.styled('dim', `  request ${printable(requestId)}`);
    return (
      `attempt ${attempt}  ${this.asked.get(call) ?? ''}  ` +
      `${this.screen.styled(isFine ? 'green' : 'yellow', came)}  ${inSeconds(tookMs)}${which}`
    );
  }

  /** A terminal counts down; a log gets its line before the wait, so that its last line says what is waited for. */
  private wait(event: Event<'wait'>): void {
    const { attempt, waitMs, because } = event;
    const why = because === 'retry_after' ? 'the server asked for it' : 'backoff';
    if (!this.screen.isTerminal || this.tellsKeys) {
      this.line(event, `waiting ${inSeconds(waitMs)} before attempt ${attempt} (${why})`);
      return;
    }
    // A wait that is over has its line like everything else; one that Ctrl-C ends has none.
    this.undoneWaits.set(event.call, `waited ${inSeconds(waitMs)} (${why})`);
    const until = performance.now() + waitMs;
    const redraw = () => {
      const left = Math.max(0, until - performance.now());
      this.screen.draw(`waiting ${inSeconds(left)} before attempt ${attempt} (${why}) …`);
    };
    redraw();
    this.countdown = setInterval(redraw, redrawMs).unref();
  }

  private line({ idempotencyKey: key }: ClientEvent, text: string): void {
    this.screen.line(this.tellsKeys && key !== null ? `${printable(key)}  ${text}` : text);
  }
}

/** What it means, not only what it was: most people see a broken connection and think that nothing happened. */
function described(exchange: Exchange, replayed: boolean): string {
  switch (exchange.kind) {
    case 'answered': {
      const { status, code } = exchange;
      const what = status === 202 ? 'still pending' : replayed ? 'done before, told again' : (code ?? '');
      return what === '' ? String(status) : `${status} ${printable(what)}`;
    }
    case 'not_sent':
      return 'could not connect: nothing was sent';
    case 'broken':
      return 'the answer broke off: it may have been carried out';
    case 'timed_out':
      return 'no answer in time: it may have been carried out';
    case 'aborted':
      return 'stopped waiting: it may have been carried out';
  }
}

const reasons: Record<Event<'give_up'>['why'], string> = {
  attempts: 'no more attempts (--attempts)',
  deadline: 'no more time (--deadline)',
  budget: 'too much has failed for more retries to help',
  circuit_open: 'too much has failed to try now',
  aborted: 'you stopped it',
};

function inSeconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
