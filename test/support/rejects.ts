import * as assert from 'uvu/assert';

/** Asserts that the work fails, with an error of this class. */
export async function rejects(
  work: () => Promise<unknown>,
  type: new (...args: never[]) => Error,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, type);
    return;
  }
  assert.unreachable('nothing was thrown');
}
