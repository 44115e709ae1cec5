import { hash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { Controller, Get, Header, Inject, Param, UseGuards } from '@nestjs/common';
import { Settings } from '../settings.js';
import { AuthenticationGuard } from './authentication.guard.js';
import { OpenToAll } from './caller.js';
import { Problem, problemToJson } from './problem.js';
import { problemExamples } from './problem-examples.js';
import { statusOf } from './problem.filter.js';
import { problems, type ProblemCode } from './problems.js';

const style = `
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { line-height: 1.2; }
  code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
  pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: 0.5rem; }
  nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
`;

/** Nothing may be loaded or run, and no style but the one above: it is known by its hash. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A page for each problem: what `type` in an answer links to. */
@Controller('problems')
@UseGuards(AuthenticationGuard)
export class ProblemsController {
  constructor(@Inject(Settings) private readonly settings: Settings) {}

  @Get(':code')
  @OpenToAll()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', policy)
  @Header('cache-control', 'public, max-age=3600')
  show(@Param('code') code: string): string {
    if (!isProblemCode(code)) throw new Problem('not_found', 'There is no such problem.');
    return page(code, statusOf(code, this.settings));
  }
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code);
}

/** Everything on it comes from the catalogue, which holds no markup: a test says so, and nothing needs escaping. */
function page(code: ProblemCode, status: number): string {
  const { title, retryable, meaning, occurs, remedy } = problems[code];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} (${code})</title>
<style>${style}</style>
<main>
<h1>${title}</h1>
<p><code>${status} ${code}</code></p>
<h2>What it means</h2>
<p>${prose(meaning)}</p>
<h2>When it occurs</h2>
<p>${prose(occurs)}</p>
<h2>What to do</h2>
<p>${prose(remedy)}</p>
<p>${retryable ? '<code>Should-Retry: true</code>: the same request may be sent again, with the same key.' : '<code>Should-Retry: false</code>: sending the same request again will not help.'}</p>
<h2>What it looks like</h2>
<pre tabindex="0" aria-label="An example of this answer">${example(code, status)}</pre>
</main>
<nav aria-label="All problems">
<h2>All problems</h2>
<ul>
${Object.keys(problems).map(linkTo(code)).join('\n')}
</ul>
</nav>
</html>
`;
}

/** The whole answer, headers and all, as `curl -i` would show it. */
function example(code: ProblemCode, status: number): string {
  const { detail, headers = {}, members } = problemExamples[code];
  const lines = Object.entries({
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Should-Retry': String(problems[code].retryable),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  const body = JSON.stringify({ ...problemToJson(code, detail, members), status }, null, 2);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\n');
}

function linkTo(current: ProblemCode): (code: string) => string {
  return code => {
    const mark = code === current ? ' aria-current="page"' : '';
    return `<li><a href="/problems/${code}"${mark}>${code}</a></li>`;
  };
}

function prose(text: string): string {
  return text.replace(/`([^`]+)`/g, '<code>$1</code>');
}
