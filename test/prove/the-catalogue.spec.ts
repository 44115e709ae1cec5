import { existsSync, readdirSync } from 'node:fs';
import { catalogue } from '../../lab/prove/catalogue/catalogue.js';
import { actNames, type CatalogueRow, type Proof } from '../../lab/prove/catalogue/row.js';
import { titlesIn } from '../support/titles.js';

/** What each part of the catalogue is about, and so which ids it has: the first and the last of F. */
const parts: Record<string, readonly [first: number, last: number]> = {
  process: [1, 21],
  postgres: [22, 48],
  bank: [49, 66],
  'client-and-http': [67, 84],
  workers: [85, 95],
  relay: [96, 102],
  resources: [103, 106],
  design: [107, 117],
};

const folder = 'lab/prove/catalogue';

const proofs = catalogue.flatMap(({ id, provedBy }) => provedBy.map(proof => [id, proof] as const));

describe('the fault catalogue', () => {
  it('has one row for each id of F01 to F117 and K0 to K11, each in the part that it belongs to', async () => {
    const expected = Object.entries(parts).flatMap(([, [first, last]]) =>
      range(first, last).map(n => `F${String(n).padStart(2, '0')}`),
    );
    const killPoints = range(0, 11).map(n => `K${n}`);
    expect(catalogue.map(({ id }) => id).sort()).toEqual([...expected, ...killPoints].sort());

    for (const [part, [first, last]] of Object.entries(parts)) {
      const ids = (await rowsOf(part)).map(({ id }) => Number(id.slice(1)));
      expect([part, ids]).toEqual([part, range(first, last)]);
    }
  });

  it('has no empty row: each says what goes wrong, and what shows it or why nothing does', () => {
    for (const { id, fault, provedBy } of catalogue) {
      expect([id, fault.length > 5, provedBy.length > 0]).toEqual([id, true, true]);
    }
    const reasons = proofs.map(([id, proof]) => [id, reasonOf(proof)] as const);
    for (const [id, reason] of reasons) {
      if (reason !== undefined) expect([id, reason]).toEqual([id, expect.stringMatching(/^.{30,}\.$/s)]);
    }
  });

  it('never says of one fault both that it is shown and that it is not', () => {
    for (const { id, provedBy } of catalogue) {
      const excuses = provedBy.filter(proof => reasonOf(proof) !== undefined);
      if (excuses.some(proof => 'notBuilt' in proof)) expect([id, provedBy.length]).toEqual([id, 1]);
    }
  });

  it('names tests that exist: each file is there, and a test or a group in it has that very title', () => {
    let named = 0;
    for (const [id, proof] of proofs) {
      if (!('test' in proof)) continue;
      const { test: file, title } = proof;
      expect([id, file]).toEqual([id, expect.stringMatching(/^(test|client\/test|src|bank)\/.*\.spec\.ts$/)]);
      expect([id, file, existsSync(file)]).toEqual([id, file, true]);
      expect([id, title, titlesIn(file).includes(title)]).toEqual([id, title, true]);
      named += 1;
    }
    expect(named).toBeGreaterThan(40);
  });

  it('names acts that exist', () => {
    const named = proofs.flatMap(([id, proof]) => ('act' in proof ? [[id, proof.act] as const] : []));
    expect(named.filter(([, act]) => !actNames.includes(act))).toEqual([]);
    expect(named.length).toBeGreaterThan(20);
  });

  it('leaves out no scenario: each id that a title of test/faults begins with names that test in its row', () => {
    for (const file of readdirSync('test/faults').map(name => `test/faults/${name}`)) {
      // A row may name the group of a whole file in place of each test in it.
      const [group = ''] = titlesIn(file);
      for (const title of titlesIn(file)) {
        const [id = ''] = /^[FK]\d+(?=:)/.exec(title) ?? [];
        if (id === '') continue;
        const row = catalogue.find(each => each.id === id);
        const titles = row?.provedBy.flatMap(proof =>
          'test' in proof && proof.test === file ? proof.title : [],
        );
        expect([title, titles?.some(named => named === title || named === group)]).toEqual([title, true]);
      }
    }
  });
});

function reasonOf(proof: Proof): string | undefined {
  if ('notBuilt' in proof) return proof.notBuilt;
  return 'notTested' in proof ? proof.notTested : undefined;
}

/** All rows that a file of the catalogue exports, in its order. */
async function rowsOf(part: string): Promise<CatalogueRow[]> {
  const exported = (await import(`../../${folder}/${part}.js`)) as Record<string, CatalogueRow[]>;
  return Object.values(exported).flat();
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
