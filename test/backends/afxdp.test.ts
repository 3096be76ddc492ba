/** The behaviour suite over AF_XDP: a data plane with its worker on veth pairs in a namespace of its own. Needs root. */

import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as uvu from 'uvu';
import { wordsOf } from '../../control/backends/wasm/memory.js';
import { openXdpBackend } from '../../control/dataplane/open.js';
import * as L from '../../dataplane-as/layout.js';
import { loadNative } from '../../native/index.js';
import { file, root } from '../support/requires.js';
import type { Rig } from './rig.js';
import { backendSuite } from './suite.js';
import { XdpStations } from './xdp-stations.js';

/** Real links and a sleeping worker: what was sent is where it goes after this time. */
const SETTLE_MS = 60;

let opened = 0;

async function openRig(): Promise<Rig> {
  const native = loadNative();
  const netns = native.createNetns(`pterB-${process.pid}-${opened++}`);
  const stations = new XdpStations(netns.path);
  const memory = { sessionsLog2: 14, frameCount: 2048, seed: 7 };
  const lines: string[] = [];
  const dataplane = await openXdpBackend({ netns: netns.path, memory, log: (line) => lines.push(line) });
  return {
    backend: dataplane.backend,
    attach: async (link, receive) => {
      const far = `${link}-s`;
      netns.createVeth({ name: link }, { name: far });
      netns.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '1');
      netns.setSysctl(`net/ipv6/conf/${far}/disable_ipv6`, '1');
      netns.setLink(link, { up: true });
      netns.setLink(far, { up: true });
      stations.attach(link, far, receive);
    },
    send: (link, frame) => stations.send(link, frame),
    settle: () => wait(SETTLE_MS),
    tamper: async () => {
      const words = wordsOf(dataplane.memory);
      const image = Atomics.load(words, (L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE) >>> 2);
      const ports = (image + (words[(image + L.IMG_PORTS) >>> 2] ?? 0)) >>> 2;
      words.fill(0, ports, ports + L.PORT_SIZE);
    },
    close: async () => {
      await dataplane.backend.close();
      await stations.close();
      native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
      netns.close();
    },
  };
}

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon)].find((need) => need !== null);
if (missing === undefined) {
  backendSuite('afxdp', openRig);
} else {
  const test = uvu.suite('afxdp');
  process.stdout.write(`skipped: afxdp: ${missing}\n`);
  test.skip('the behaviour suite over AF_XDP');
  test.run();
}
