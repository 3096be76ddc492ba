/** `pteropus agent`: the node agent as a process of its own, beside a data plane that outlives it. */
import { loadNative } from '../../native/index.js';
import { openRemoteBackend } from '../backends/wasm/remote.js';
import { openStoreClient } from '../store/client.js';
import { Agent } from './agent.js';
import { type AgentConfig, readAgentConfig } from './agent-config.js';
import { serveCni } from './cni-server.js';
import { openNativeLinks } from './links-native.js';

const HELP = `usage: pteropus agent --config FILE

Runs the agent of one node: follows the cluster's objects in the store, keeps the node's data plane at what they say, and
serves the CNI program. Prints {"ready":true} on standard output when everything is in force and the CNI socket is open;
logs to standard error. When it ends, traffic goes on.

FILE is JSON:
  node          name of the node in Kubernetes
  store         unix socket of the store
  dataplane     unix socket of the data plane
  uplink        link to the underlay
  cni           unix socket for the CNI program (default /run/pteropus/cni.sock)
  journal       file that keeps node id and pods (default /var/lib/pteropus/journal.json)
  netns         namespace of the host's stack (default our own)
  addresses     underlay addresses, if the cluster has no nodeInterconnectCIDR
  cluster       cluster configuration; what is absent takes its default
  dieWithStdin  true: end when standard input ends
`;

/** How long one attempt to reach the data plane takes before it is told and tried again, milliseconds. */
const DATAPLANE_TIMEOUT_MS = 2000;

export async function run(argv: readonly string[]): Promise<number> {
  const [option, path, ...rest] = argv;
  if (option === '--help' || option === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (option !== '--config' || path === undefined || rest.length > 0) {
    process.stderr.write(HELP);
    return 2;
  }
  await serve(readAgentConfig(path));
  return 0;
}

async function serve(config: AgentConfig): Promise<void> {
  const ended = endOf(config.dieWithStdin);
  const store = await openStoreClient(config.store);
  const links = openNativeLinks(loadNative(), { netns: config.netns, uplink: config.uplink });
  const agent = await Agent.start({
    node: config.node,
    config: config.cluster,
    store,
    openBackend: () => openRemoteBackend(config.dataplane, { timeoutMs: DATAPLANE_TIMEOUT_MS }),
    links,
    journal: config.journal,
    ...(config.addresses === null ? {} : { addresses: config.addresses }),
    log: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
  });
  const server = await serveCni(agent.cni, config.cni);
  process.stdout.write('{"ready":true}\n');
  await ended;
  await server.close();
  await agent.close();
  await store.close();
  await links.close();
}

/** Resolves on a signal to end. Whoever holds our standard input being gone ends us at once, ready or not. */
function endOf(withStdin: boolean): Promise<void> {
  if (withStdin) {
    process.stdin.on('error', () => process.exit(0));
    process.stdin.on('close', () => process.exit(0));
    process.stdin.resume();
  }
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
