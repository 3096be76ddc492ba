import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { parseStoreConfig } from '../store/open.js';
import { ksrConfigOf, parseKsrConfig } from './config.js';

const LEAST = { store: 'https://etcd:2379', identity: 'me' };

test('what is absent has its default', () => {
  assert.equal(parseKsrConfig(LEAST, 'f'), {
    store: { endpoints: ['https://etcd:2379'] },
    kubeconfig: null,
    rest: { listen: { host: '127.0.0.1', port: 9191 }, tls: null, hosts: [] },
    identity: 'me',
    leaseSeconds: 15,
    externalIPCIDRs: [],
    lookAgainSeconds: 10,
    nodeReleaseSeconds: 600,
    dieWithStdin: false,
  });
});

test('flags say the same as a file', () => {
  const flags = { store: '/run/store', kubeconfig: '/k', rest: '127.0.0.1:1', identity: 'me' };
  const config = ksrConfigOf({ ...flags, 'lease-seconds': '3' });
  assert.equal(config, parseKsrConfig({ ...flags, leaseSeconds: 3 }, 'f'));
  assert.throws(() => ksrConfigOf({}), /--store: is needed/);
  assert.throws(
    () => ksrConfigOf({ ...flags, 'lease-seconds': 'x' }),
    /--lease-seconds: must be 1-3600 \(got "x"\)/,
  );
});

test('what is wrong names the file and the field', () => {
  const cases: [object, RegExp][] = [
    [{ ...LEAST, store: undefined }, /^f: store: /],
    [{ ...LEAST, leaseSeconds: 0 }, /leaseSeconds: must be a number from 1 to 3600/],
    [{ ...LEAST, leasSeconds: 5 }, /leasSeconds: unknown field/],
    [{ ...LEAST, externalIPCIDRs: ['x'] }, /externalIPCIDRs\[0\]: not a CIDR/],
    [{ ...LEAST, rest: '0.0.0.0:9191' }, /only with TLS/],
    [{ ...LEAST, kubeconfig: 7 }, /kubeconfig: must be text/],
    [[], /must be a mapping/],
  ];
  for (const [value, pattern] of cases) {
    assert.throws(
      () => parseKsrConfig(value, 'f'),
      (e: Error) => e instanceof InvalidInputError && pattern.test(e.message),
      JSON.stringify(value),
    );
  }
});

test('a store: socket, endpoints, or an object of either', () => {
  assert.equal(parseStoreConfig('/run/s', 'f'), { socket: '/run/s' });
  assert.equal(parseStoreConfig('http://a:1, http://[::1]:2/', 'f'), {
    endpoints: ['http://a:1', 'http://[::1]:2'],
  });
  const tls = { endpoints: ['https://a:1'], caFile: '/ca', certFile: '/c', keyFile: '/k', prefix: '/x' };
  assert.equal(parseStoreConfig(tls, 'f'), tls);
  const wrong: [unknown, RegExp][] = [
    ['', /must be a unix socket/],
    [{ endpoints: [] }, /store\.endpoints: must be a list/],
    [{ endpoints: ['a:1'] }, /http\(s\):\/\/host:port/],
    [{ endpoints: ['http://a:1', 'https://b:1'] }, /all of one kind/],
    [{ ...tls, keyFile: undefined }, /go together/],
    [{ ...tls, endpoints: ['http://a:1'] }, /need https/],
    [{ socket: '/s', prefix: '/x' }, /no place beside socket/],
    [{ sockets: '/s' }, /store\.sockets: unknown field/],
  ];
  for (const [value, pattern] of wrong) {
    assert.throws(() => parseStoreConfig(value, 'f'), pattern, JSON.stringify(value));
  }
});

test.run();
