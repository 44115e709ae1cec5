import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Of Jest's own report: the files in which a test failed, one a line. More than three are no accident: it fails. */
const mostThatMayBeAnAccident = 3;

if (!existsSync(process.argv[2])) {
  console.error('npm test has left no report: it was stopped for its time, or died.');
  process.exit(1);
}
const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const failed = testResults
  .filter(({ status }) => status === 'failed')
  .map(({ name }) => relative(process.cwd(), name));
if (failed.length === 0 || failed.length > mostThatMayBeAnAccident) {
  console.error(`${failed.length} test files failed.`);
  process.exit(1);
}
console.log(failed.join('\n'));
