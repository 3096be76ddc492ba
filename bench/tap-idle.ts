/** What the data plane of a node costs while its pods are silent: a process of its own, its CPU time over some seconds. */
import { openXdpBackend } from '../control/dataplane/open.js';
import type { Change, Item } from '../control/ruleset/types.js';
import { loadNative } from '../native/index.js';
import { nodeItems, podItems, podLink } from '../test/backends/items.js';

const NODE = 1;
const SECONDS = 5;
const SETTLE_MS = 500;

/** Share of one core. The process is otherwise idle; so what it used was the data plane's. */
export async function idleCpu(feed: 'afxdp' | 'tap', pods: number): Promise<number> {
  const native = loadNative();
  const names = ['node', ...Array.from({ length: pods }, (_, n) => String(n))].map(
    (part) => `pterN-idle-${process.pid}-${part}`,
  );
  const [node, ...sandboxes] = names.map((name) => native.createNetns(name));
  const dataplane = await openXdpBackend({
    netns: node!.path,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  try {
    const items: Item[] = nodeItems(NODE).map((item) => item);
    sandboxes.forEach((pod, n) => {
      const link = podLink(NODE, `i${n}`);
      if (feed === 'tap') pod.createTap('eth0');
      else {
        node!.createVeth({ name: link }, { name: 'eth0', netns: pod });
        node!.setLink(link, { up: true });
      }
      pod.setSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
      const peerMac = `02:00:00:00:77:${(n + 1).toString(16).padStart(2, '0')}`;
      pod.setLink('eth0', { mac: peerMac, up: true });
      const tap = { netns: pod.path, ifname: 'eth0' };
      for (const item of podItems(NODE, n + 1, `i${n}`)) {
        if (item.kind !== 'interface') items.push(item);
        else items.push({ ...item, peerMac, ...(feed === 'tap' ? { tap } : {}) });
      }
    });
    for (const item of items) {
      if (item.kind !== 'interface' || item.role === 'pod') continue;
      node!.createVeth({ name: item.link }, { name: `${item.link}-x` });
      node!.setLink(item.link, { up: true });
    }
    const changes = items.map((item): Change => ({ type: 'add', key: item.key, item }));
    for (const { key, error } of await dataplane.backend.apply(changes)) {
      if (error !== null) throw new Error(`${key}: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const before = process.cpuUsage();
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / (performance.now() - start);
  } finally {
    await dataplane.backend.close();
    for (const netns of [node!, ...sandboxes]) netns.close();
    for (const name of names) native.deleteNetns(name);
  }
}
