import { readFileSync } from 'node:fs';
import { everyMutation } from '../../lab/mutations/every-mutation.js';
import { patched, PatchDoesNotFit } from '../../lab/mutations/mutation.js';
import { patternOf, whyNoTest } from '../../lab/mutations/named-test.js';
import { endsOf, resultOf, whyNoEvidence } from '../../lab/mutations/result.js';

/** `npm run mutations` makes each mistake and runs its test. Here: that it still can, now that the code has changed. */
describe('each mistake on the list', () => {
  const numbers = everyMutation.map(({ id }) => Number.parseInt(id.slice(1), 10));

  it('is there: M1 to M25, but for two of a part that does not exist yet', () => {
    const relay = [9, 10];
    const wanted = Array.from({ length: 25 }, (_, index) => index + 1).filter(each => !relay.includes(each));
    expect([...new Set(numbers)]).toEqual(wanted);
    expect(new Set(everyMutation.map(({ id }) => id)).size).toBe(everyMutation.length);
  });

  it.each(everyMutation)('$id, $mistake: can be made, and has a test', ({ patches, caughtBy }) => {
    expect(patches.length).toBeGreaterThan(0);
    const files = new Map(patches.map(({ file }) => [file, readFileSync(file, 'utf8')]));
    for (const patch of patches) {
      const before = files.get(patch.file) ?? '';
      const after = patched(before, patch);
      expect(after).not.toBe(before);
      files.set(patch.file, after);
    }
    expect(whyNoTest('.', caughtBy)).toBeUndefined();
  });
});

describe('a patch', () => {
  const patch = { file: 'a.ts', find: 'one\ntwo', replace: 'three' };

  it('replaces what it finds, as it is', () => {
    expect(patched('zero\none\ntwo\n', patch)).toBe('zero\nthree\n');
    expect(patched('one\ntwo', { ...patch, replace: '$& ${x}' })).toBe('$& ${x}');
  });

  it.each(['', 'one', 'one\ntwo, one\ntwo'])('does not fit where that is not, or is twice: %j', source => {
    expect(() => patched(source, patch)).toThrow(PatchDoesNotFit);
  });
});

describe('a named test', () => {
  const test = { file: 'a.spec.ts', title: '%s: paid (F1) once, as ${who} says' };
  const ended = [
    { file: 'a.spec.ts', fullName: 'group before: paid (F1) once, as Sam says', isPassed: true, said: [] },
    {
      file: 'a.spec.ts',
      fullName: 'group after: paid (F1) once, as Sam says',
      isPassed: false,
      said: ['no\n at x'],
    },
    {
      file: 'b.spec.ts',
      fullName: 'group before: paid (F1) once, as Sam says',
      isPassed: false,
      said: ['no'],
    },
  ];
  const before = { ...test, filledWith: 'before' };

  it('is found by its file and title, whatever was filled in', () => {
    expect(endsOf(test, ended)).toHaveLength(2);
    expect(endsOf(before, ended)).toEqual([ended[0]]);
    expect(patternOf(test)).not.toMatch('%s');
  });

  it('is evidence only where it was run, and is green without the mistake', () => {
    expect(whyNoEvidence(before, ended)).toBeUndefined();
    expect(whyNoEvidence(test, ended)).toBe('it is red anyway: no');
    expect(whyNoEvidence({ ...test, filledWith: 'never' }, ended)).toMatch('no test');
  });

  it('catches a mistake by being red, and nothing else does', () => {
    const mutation = { id: 'M0', mistake: 'none', breaks: 'nothing', patches: [], caughtBy: test };
    const trial = { commit: 'abc', seconds: 1 };
    expect(resultOf(mutation, ended, trial)).toMatchObject({ caughtBy: [ended[1]?.fullName], said: 'no' });
    expect(resultOf({ ...mutation, caughtBy: before }, ended, trial)).toMatchObject({ caughtBy: [] });
  });

  it('learns nothing from a process that did not start', () => {
    const mutation = { id: 'M0', mistake: 'none', breaks: 'nothing', patches: [], caughtBy: test };
    const said = ['Error: the API did not get ready within 15000 ms:\n'];
    const late = ended.map(each => ({ ...each, said }));
    expect(resultOf(mutation, late, { commit: 'abc', seconds: 1 })).toMatch('the harness failed');
  });

  it('is missed where there is none', () => {
    expect(whyNoTest('.', { file: 'test/no.spec.ts', title: 'no' })).toMatch('there is no');
    expect(whyNoTest('.', { file: 'test/prove/the-mutations.spec.ts', title: 'no' })).toMatch('no test');
  });
});
