// Writes down what is shipped, in CycloneDX: node .ci/sbom.mjs <file>
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [file = 'sbom.cdx.json'] = process.argv.slice(2);
const read = name => JSON.parse(readFileSync(join(import.meta.dirname, '..', name), 'utf8'));
const { name, version, dependencies } = read('package.json');

// Everything, of which the lock file then says what is shipped: with `--omit dev`, npm 11 leaves out pg and others that
// a development dependency needs as well.
const { stdout, stderr, status } = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], {
  encoding: 'utf8',
  maxBuffer: 2 ** 26,
});
if (status !== 0) throw new Error(`npm sbom did not work: ${stderr}`);
const bom = JSON.parse(stdout);
const shipped = new Set(
  Object.entries(read('package-lock.json').packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path, locked]) => `${locked.name ?? path.split('node_modules/').at(-1)}@${locked.version}`),
);
bom.components = bom.components
  .filter(component => shipped.has(component['bom-ref']))
  // Said of one that is shipped, it means that it is there twice.
  .map(component => ({
    ...component,
    properties: component.properties.filter(property => !property.name.endsWith(':development')),
  }));
bom.dependencies = bom.dependencies
  .filter(({ ref }) => shipped.has(ref) || ref === bom.metadata.component['bom-ref'])
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(each => shipped.has(each)) }));
// npm calls the project after the folder it happens to lie in.
Object.assign(bom.metadata.component, { name, version });

const missing = Object.entries(dependencies)
  .map(([dependency, exact]) => `${dependency}@${exact}`)
  .filter(ref => !bom.components.some(component => component['bom-ref'] === ref));
if (missing.length > 0) throw new Error(`The bill of materials leaves out ${missing.join(', ')}.`);
writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
console.log(`${bom.components.length} packages are shipped; they are listed in ${file}.`);
