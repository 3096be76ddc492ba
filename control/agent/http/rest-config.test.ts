import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../../common/errors.js';
import { DEFAULT_REST, parseRestConfig } from './rest-config.js';

test('absent, null, short and long', () => {
  assert.equal(parseRestConfig(undefined, 'f'), DEFAULT_REST);
  assert.is(parseRestConfig(null, 'f'), null);
  assert.equal(parseRestConfig('[::1]:80', 'f'), { listen: { host: '::1', port: 80 }, tls: null, hosts: [] });
  assert.equal(parseRestConfig('/run/a.sock', 'f'), {
    listen: { path: '/run/a.sock' },
    tls: null,
    hosts: [],
  });
  assert.equal(
    parseRestConfig({ listen: '0.0.0.0:9999', certFile: '/c', keyFile: '/k', hosts: ['Node-1'] }, 'f'),
    {
      listen: { host: '0.0.0.0', port: 9999 },
      tls: { certFile: '/c', keyFile: '/k', clientCaFile: null },
      hosts: ['node-1'],
    },
  );
});

test('what is wrong is refused, and the error names the field', () => {
  const cases: [unknown, RegExp][] = [
    [7, /f: rest: must be/],
    [{ port: 1 }, /rest\.port: unknown field/],
    ['localhost:9999', /rest\.listen: must be ADDRESS:PORT/],
    ['127.0.0.1', /rest\.listen/],
    ['127.0.0.1:70000', /rest\.listen/],
    ['0.0.0.0:9999', /rest\.listen: beyond loopback only with TLS/],
    [{ certFile: '/c' }, /rest\.certFile: goes together with keyFile/],
    [{ certFile: 'c', keyFile: '/k' }, /rest\.certFile: must be an absolute path/],
    [{ clientCaFile: '/ca' }, /rest\.clientCaFile: needs certFile/],
    [{ hosts: ['a b'] }, /rest\.hosts\[0\]/],
  ];
  for (const [value, expected] of cases) {
    assert.throws(
      () => parseRestConfig(value, 'f'),
      (e: Error) => e instanceof InvalidInputError && expected.test(e.message),
      JSON.stringify(value),
    );
  }
});

test.run();
