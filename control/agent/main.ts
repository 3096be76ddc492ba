/** `pteropus agent`: the node agent as a process of its own, beside a data plane that outlives it. */
import { loadNative } from '../../native/index.js';
import { openRemoteBackend } from '../backends/wasm/remote.js';
import { clearSocketPath } from '../common/listen.js';
import { openStoreClient } from '../store/client.js';
import { Agent } from './agent.js';
import { type AgentConfig, OWN_NETNS, readAgentConfig } from './agent-config.js';
import { serveCni } from './cni-server.js';
import { HealthCheckServer } from './health-checks.js';
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
  podFeed       afxdp (default) or tap: feed of pods without the annotation pteropus.io/feed
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
  // Two agents of one node would undo each other's work: the second ends here.
  await clearSocketPath(config.cni);
  const end = endOf(config.dieWithStdin);
  const store = await openStoreClient(config.store);
  const links = openNativeLinks(loadNative(), { netns: config.netns, uplink: config.uplink });
  const log = (line: string) => process.stderr.write(`${new Date().toISOString()} ${line}\n`);
  const healthChecks = new HealthCheckServer(log);
  try {
    const starting = Agent.start({
      node: config.node,
      config: config.cluster,
      store,
      openBackend: () => openRemoteBackend(config.dataplane, { timeoutMs: DATAPLANE_TIMEOUT_MS }),
      links,
      journal: config.journal,
      podFeed: config.podFeed,
      ...(config.addresses === null ? {} : { addresses: config.addresses }),
      // The ports belong to the host's stack: where that is another namespace than ours, we cannot listen there.
      ...(config.netns === OWN_NETNS ? { healthChecks } : {}),
      log,
    });
    const agent = await Promise.race([starting, end.asked]);
    // Asked to end while it waits for its parts: nothing of ours is there to be closed in order.
    if (agent === undefined) process.exit(0);
    const server = await serveCni(agent.cni, config.cni);
    process.stdout.write('{"ready":true}\n');
    await end.asked;
    await server.close();
    await agent.close();
  } finally {
    await healthChecks.close();
    await store.close();
    await links.close();
    end.release();
  }
}

interface End {
  /** Resolves on a signal to end. */
  readonly asked: Promise<undefined>;
  /** Lets go of signals and standard input, so that the process can end by itself. */
  release(): void;
}

/** With `withStdin`, the end of standard input ends us at once: whoever held it is gone. */
function endOf(withStdin: boolean): End {
  const exit = (): never => process.exit(0);
  if (withStdin) process.stdin.on('error', exit).on('close', exit).resume();
  let ask = (): void => undefined;
  const asked = new Promise<undefined>((resolve) => {
    ask = () => resolve(undefined);
  });
  process.on('SIGTERM', ask).on('SIGINT', ask);
  const release = (): void => {
    process.off('SIGTERM', ask).off('SIGINT', ask);
    if (withStdin) process.stdin.off('error', exit).off('close', exit).destroy();
  };
  return { asked, release };
}
