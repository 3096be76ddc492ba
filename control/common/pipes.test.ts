import { EventEmitter } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { followPipes } from './pipes.js';

function exitsOf(serves: boolean): readonly number[] {
  const pipe = new EventEmitter();
  const exits: number[] = [];
  followPipes(serves, [pipe], (code) => exits.push(code));
  pipe.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  pipe.emit('error', Object.assign(new Error('write EIO'), { code: 'EIO' }));
  return exits;
}

test('who answers ends when nobody reads, who serves goes on', () => {
  assert.equal(exitsOf(false), [141, 3]);
  assert.equal(exitsOf(true), []);
});

test.run();
