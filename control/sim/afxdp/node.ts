/**
 * One node of a simulated cluster: its agent and its data plane (ours, or a VPP), each a process inside the node's namespace.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Backend } from '../../backends/backend.js';
import { openRemoteBackend } from '../../backends/wasm/remote.js';
import type { StoreConfig } from '../../store/open.js';
import type { DriverSpec } from '../driver.js';
import { VppOfNode } from '../vpp/node.js';
import { type NodePaths, namespacePath, nodeNamespace, nodePaths } from './names.js';
import { NodeProcess } from './process.js';
import { UPLINK } from './topology.js';

const PTEROPUS = fileURLToPath(new URL('../../../../../bin/pteropus.mjs', import.meta.url));

/** Packet buffers of 2 KiB: room for the bursts of some hundred pods on one node. */
const FRAMES = '16384';

export interface NodeSpec {
  readonly name: string;
  readonly id: number;
  readonly store: StoreConfig;
  readonly driver: DriverSpec;
}

export class SimNode {
  readonly paths: NodePaths;
  readonly netns: string;
  readonly agent: NodeProcess;
  readonly dataplane: NodeProcess;
  /** null: the data plane is ours. */
  readonly vpp: VppOfNode | null;

  constructor(readonly spec: NodeSpec) {
    const { name, id, driver } = spec;
    this.paths = nodePaths(driver.runDir, id);
    this.netns = namespacePath(nodeNamespace(driver.cluster, name));
    this.vpp =
      driver.vpp?.includes(name) === true
        ? new VppOfNode(driver.cluster, id, join(this.paths.dir, 'vpp'))
        : null;
    this.dataplane = new NodeProcess({
      name: `data plane of ${name}`,
      netns: this.netns,
      argv: this.vpp?.argv ?? [
        process.execPath,
        ...[PTEROPUS, 'dataplane', '--socket', this.paths.dataplaneSocket],
        ...[
          '--feed',
          'afxdp',
          '--frames',
          FRAMES,
          '--workers',
          String(driver.workers ?? 1),
          '--die-with-stdin',
        ],
      ],
      log: this.paths.dataplaneLog,
      saysReady: false,
      mostBackoffMs: driver.mostBackoffMs,
      onDeath: (reason) => driver.progress(`data plane of ${name} died (${reason}), starting it again`),
    });
    this.agent = new NodeProcess({
      name: `agent of ${name}`,
      netns: this.netns,
      argv: [process.execPath, PTEROPUS, 'agent', '--config', this.paths.config],
      log: this.paths.agentLog,
      saysReady: true,
      mostBackoffMs: driver.mostBackoffMs,
      onDeath: (reason) => driver.progress(`agent of ${name} died (${reason}), starting it again`),
    });
  }

  /** Starts both processes side by side; resolves when the agent serves CNI. */
  async start(): Promise<void> {
    mkdirSync(this.paths.dir, { recursive: true, mode: 0o700 });
    this.vpp?.prepare();
    writeFileSync(this.paths.config, `${JSON.stringify(this.agentConfig(), null, 2)}\n`, { mode: 0o600 });
    await Promise.all([this.dataplane.start(), this.agent.start()]);
  }

  /** The node's data plane beside its agent, to look into; closing it leaves the data plane running. */
  openBackend(): Promise<Backend> {
    return this.vpp?.openObserver() ?? openRemoteBackend(this.paths.dataplaneSocket);
  }

  async stop(): Promise<void> {
    await Promise.all([this.agent.stop(), this.dataplane.stop()]);
  }

  private agentConfig(): object {
    const { name, store, driver } = this.spec;
    return {
      node: name,
      store,
      ...(this.vpp?.agentConfig ?? { dataplane: this.paths.dataplaneSocket }),
      cni: this.paths.cniSocket,
      cniBinDir: this.paths.cni.binDir,
      cniConfDir: this.paths.cni.confDir,
      rest: this.paths.restSocket,
      journal: this.paths.journal,
      netns: this.netns,
      uplink: UPLINK,
      podFeed: driver.podFeed ?? 'afxdp',
      workers: this.vpp === null ? (driver.workers ?? 1) : 1,
      cluster: driver.config,
      // Whoever waits for a change to be in force reads it there.
      statusIntervalSeconds: 0,
      dieWithStdin: true,
    };
  }
}
