// Fails on advisories of high or critical severity in what is shipped, unless audit-exceptions.json names one with a
// reason and a date that has not come yet.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const exceptions = JSON.parse(readFileSync(join(import.meta.dirname, 'audit-exceptions.json'), 'utf8'));
const today = new Date().toISOString().slice(0, 10);

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  maxBuffer: 2 ** 26,
});
const report = JSON.parse(stdout);

// Some registries mirror packages, and no advisories. That is no finding, and no all-clear either.
if ([404, 405, 501].includes(report.statusCode)) {
  console.log(
    `npm audit, ${today}: this registry has no advisory service (${report.statusCode}), so nothing was looked up.`,
  );
  console.log('Run it against the public registry before you ship.');
  process.exit();
}
if (report.vulnerabilities === undefined)
  throw new Error(`npm audit did not work: ${report.message ?? stdout}`);

const advisories = new Map(
  Object.values(report.vulnerabilities)
    .flatMap(({ via }) => via)
    // A string is another package on the way to the advisory, which has an entry of its own.
    .filter(via => typeof via === 'object' && ['high', 'critical'].includes(via.severity))
    .map(advisory => [advisory.url, advisory]),
);
const excused = exceptions.filter(({ until }) => until > today).map(({ advisory }) => advisory);
const findings = [...advisories.values()].filter(({ url }) => !excused.includes(url));
for (const { severity, name, title, url } of findings)
  console.error(`${severity}: ${name}: ${title} (${url})`);
if (findings.length > 0) process.exit(1);
console.log(`npm audit, ${today}: nothing high or critical in production; ${advisories.size} excused.`);
