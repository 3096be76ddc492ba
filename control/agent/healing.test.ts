import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Healing, type ResyncKind } from './healing.js';

/** Runs `need` on a Healing whose rounds end as told; resolves with the kinds tried when all are used up. */
function rounds(
  outcomes: readonly (boolean | 'throws')[],
  needs: readonly ResyncKind[],
): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const tried: ResyncKind[] = [];
    const healing = new Healing((kind) => {
      tried.push(kind);
      const outcome = outcomes[tried.length - 1];
      if (tried.length === outcomes.length) {
        healing.close();
        resolve(tried);
      }
      return outcome === 'throws' ? Promise.reject(new Error('no')) : Promise.resolve(outcome === true);
    });
    for (const kind of needs) healing.need(kind);
  });
}

test('the strongest need wins', async () => {
  assert.equal(await rounds([true], ['upstream', 'full', 'downstream']), ['full']);
  assert.equal(await rounds([true], ['downstream', 'upstream']), ['downstream']);
});

test('tried again until it helps, after some failures with everything', async () => {
  assert.equal(await rounds([false, 'throws', false, false, false, true], ['upstream']), [
    'upstream',
    'upstream',
    'upstream',
    'upstream',
    'full',
    'full',
  ]);
});

test.run();
