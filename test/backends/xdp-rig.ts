/** A rig over AF_XDP: a data plane with its worker on veth pairs in a network namespace of its own. */
import { setTimeout as wait } from 'node:timers/promises';
import { activeImageAt, wordsOf } from '../../control/backends/wasm/memory.js';
import { openXdpBackend, type XdpBackend } from '../../control/dataplane/open.js';
import * as L from '../../dataplane-as/layout/index.js';
import type { Native, Netns } from '../../native/index.js';
import type { Rig } from './rig.js';
import { XdpStations } from './xdp-stations.js';

/** Real links and a sleeping worker: what was sent is where it goes after this time. */
const SETTLE_MS = 60;

export interface XdpRig extends Rig {
  /** Path of its namespace. */
  readonly netns: string;
  readonly dataplane: XdpBackend;
  /** What the data plane logged. */
  readonly lines: readonly string[];
}

let made = 0;

/** Makes a namespace of our own; the name carries the process, so that runs do not meet. */
export function makeNetns(native: Native): Netns {
  return native.createNetns(`pterB-${process.pid}-${made++}`);
}

/** A link and its far end, both up and quiet. */
export function makeLink(netns: Netns, link: string, queues = 1): { readonly far: string } {
  const far = `${link}-s`;
  netns.createVeth({ name: link, queues }, { name: far, queues });
  for (const name of [link, far]) {
    netns.setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '1');
    netns.setLink(name, { up: true });
  }
  return { far };
}

/** `make` makes a link in another way than as a veth; null = as a veth. */
export async function openXdpRig(
  native: Native,
  make: (netns: Netns, link: string) => { readonly far: string } | null = () => null,
  workers = 1,
): Promise<XdpRig> {
  const netns = makeNetns(native);
  const stations = new XdpStations(netns.path);
  const lines: string[] = [];
  const dataplane = await openXdpBackend({
    netns: netns.path,
    memory: { sessionsLog2: 14, frameCount: 2048, seed: 7, workers },
    log: (line) => lines.push(line),
  });
  return {
    backend: dataplane.backend,
    netns: netns.path,
    dataplane,
    lines,
    attach: async (link, receive) =>
      stations.attach(link, (make(netns, link) ?? makeLink(netns, link, workers)).far, receive),
    send: (link, frame) => stations.send(link, frame),
    settle: () => wait(SETTLE_MS),
    tamper: async () => {
      const words = wordsOf(dataplane.memory);
      const image = Atomics.load(words, activeImageAt(dataplane.backend.plan) >>> 2);
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
