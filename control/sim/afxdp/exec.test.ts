import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root, testIf } from '../../../test/support/requires.js';
import { enterPod, writePodFiles } from './exec.js';

testIf(test, root())('a program in a pod sees the pod: host name, hosts, arguments as they are', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-x-exec-'));
  try {
    const sources = { services: [], slices: [], pods: [] };
    const files = writePodFiles(dir, { namespace: 'shop', name: 'web-0' }, sources);
    const script = 'hostname; cat /etc/hosts; echo "$1"';
    const line = enterPod('/proc/self/ns/net', files, 'web-0', [
      'sh',
      '-c',
      script,
      'sh',
      'two  words; $HOME',
    ]);
    const out = execFileSync(line.command, line.args, { encoding: 'utf8' });
    assert.is(out, 'web-0\n127.0.0.1\tlocalhost\ntwo  words; $HOME\n');
    assert.is.not(hostname(), 'web-0');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test.run();
