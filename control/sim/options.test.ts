/** `pteropus sim`: which nodes run VPP. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { parseRun } from './options.js';

function refusal(...argv: string[]): string {
  try {
    parseRun(argv);
  } catch (error) {
    assert.instance(error, InvalidInputError);
    return (error as InvalidInputError).message;
  }
  throw new Error(`${argv.join(' ')} was taken`);
}

test('no node runs VPP unless it is asked for', () => {
  assert.equal(parseRun(['--feed', 'memory'])?.vpp, []);
});

test('--vpp is refused on feed memory', () => {
  assert.match(refusal('--feed', 'memory', '--vpp', 'all'), '--vpp: needs --feed afxdp');
});

test.run();
