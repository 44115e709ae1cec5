import { Controller, Get, Header, Param, UseGuards } from '@nestjs/common';
import { AuthenticationGuard } from './authentication.guard.js';
import { OpenToAll } from './caller.js';
import { Problem, problemToJson } from './problem.js';
import { problems, type ProblemCode } from './problems.js';

/** A page for each problem: what `type` in an answer links to. */
@Controller('problems')
@UseGuards(AuthenticationGuard)
export class ProblemsController {
  @Get(':code')
  @OpenToAll()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
  show(@Param('code') code: string): string {
    if (!isProblemCode(code)) throw new Problem('not_found', 'There is no such problem.');
    return page(code);
  }
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code);
}

/** Everything on it comes from the catalogue, so nothing needs escaping. */
function page(code: ProblemCode): string {
  const { title, status, retryable, meaning, remedy } = problems[code];
  const example = JSON.stringify(problemToJson(code, meaning), null, 2);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${code}: ${title}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: 0.5rem; }
</style>
<h1>${title}</h1>
<p><code>${status} ${code}</code></p>
<h2>What it means</h2>
<p>${meaning}</p>
<h2>What to do</h2>
<p>${remedy}</p>
<p>${retryable ? 'The same request may be sent again, with the same key.' : 'Sending the same request again will not help.'}</p>
<h2>What it looks like</h2>
<pre>${example}</pre>
`;
}
