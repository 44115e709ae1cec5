import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { UsageError } from './usage-error.js';

/** What the environment and `--url` say about whom to ask, as whom, and where keys are written down. */
export interface Surroundings {
  readonly apiKey: string;
  readonly baseUrl: string;
  /** A directory with one file for each payment whose outcome is not known. */
  readonly journalDirectory: string;
  /** To be said once, on stderr. */
  readonly warnings: readonly string[];
}

/** In the quick start's database and no other. Public, so worth nothing elsewhere. */
const demoKey = 'sk_demo_alice';

/** An empty variable counts as none: that is what `PAYSAM_URL=${URL}` makes of one that is not set. */
export function readSurroundings(environment: NodeJS.ProcessEnv, url: string | undefined): Surroundings {
  const base = readUrl(url ?? (environment.PAYSAM_URL || 'http://127.0.0.1:3000'));
  const apiKey = environment.PAYSAM_API_KEY || null;
  const isLocal = isLoopback(base.hostname);
  if (apiKey === null && !isLocal) {
    throw new UsageError(
      `PAYSAM_API_KEY is not set, and ${base.host} is not this machine.`,
      'Set it in the environment. It is no flag: the shell would write it into its history.',
    );
  }
  // Never part of the message: whatever it is, it may be most of a real key.
  if (apiKey !== null && !/^[!-~]+$/.test(apiKey)) {
    throw new UsageError('PAYSAM_API_KEY is no API key.', 'It has no blanks, and nothing but ASCII.');
  }
  const warnings: string[] = [];
  if (apiKey === null) {
    warnings.push(`PAYSAM_API_KEY is not set: using the demo’s public one, ${demoKey}.`);
  } else if (base.protocol === 'http:' && !isLocal) {
    warnings.push(`${base.host} is asked over plain http: whoever is on the way can read your API key.`);
  }
  return {
    apiKey: apiKey ?? demoKey,
    baseUrl: base.href.replace(/\/+$/, ''),
    journalDirectory: join(findHome(environment), 'journal'),
    warnings,
  };
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!url || !isWeb || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError(
      `“${text}” is not the address of a service.`,
      'Type it like this: --url https://pay.example.com',
    );
  }
  return url;
}

/** By name or number as typed. Nothing is looked up: whoever answers for a name decides where it leads. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** By the XDG Base Directory Specification: state, which should outlive a reboot and is of use on this machine only. */
function findHome({ PAYSAM_HOME, XDG_STATE_HOME, LOCALAPPDATA }: NodeJS.ProcessEnv): string {
  if (PAYSAM_HOME) return PAYSAM_HOME;
  if (process.platform === 'win32')
    return join(LOCALAPPDATA || join(homedir(), 'AppData', 'Local'), 'paysam');
  // The specification: a relative path is invalid, and to be ignored.
  const state = XDG_STATE_HOME && isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : null;
  return join(state ?? join(homedir(), '.local', 'state'), 'paysam');
}
