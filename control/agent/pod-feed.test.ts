import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { barePod } from '../../test/e2e/support/spec.js';
import { FEED_ANNOTATION, feedOf } from './pod-feed.js';

const annotated = (value: string) => {
  const pod = barePod('a', 'node-1');
  return { ...pod, metadata: { ...pod.metadata, annotations: { [FEED_ANNOTATION]: value } } };
};

test('the annotation goes before what holds for all', () => {
  assert.is(feedOf(annotated('tap'), 'afxdp'), 'tap');
  assert.is(feedOf(annotated('afxdp'), 'tap'), 'afxdp');
  assert.is(feedOf(barePod('a', 'node-1'), 'tap'), 'tap');
  assert.is(feedOf(undefined, 'afxdp'), 'afxdp');
});

test('a feed that is none is refused with its place', () => {
  assert.throws(
    () => feedOf(annotated('Tap'), 'afxdp'),
    (error: Error) => /must be afxdp or tap/.test(error.message),
  );
});

test.run();
