/** A trace over all nodes: each data plane records, the records are merged by time. */
import type { Backend, TraceFilter, TraceStep } from '../backends/backend.js';

export type NodeStep = TraceStep & { readonly node: string };

/** What can be traced on one node; `close` leaves the data plane running. */
export interface TracedNode {
  readonly node: string;
  readonly backend: Pick<Backend, 'trace' | 'close'>;
}

/** Records on every node while `run` runs. Times are monotonic and the nodes share one clock. Closes the backends. */
export async function traceNodes(
  nodes: readonly TracedNode[],
  filter: TraceFilter,
  run: () => Promise<void>,
): Promise<readonly NodeStep[]> {
  try {
    const traces = await Promise.all(
      nodes.map(async ({ node, backend }) => ({ node, trace: await backend.trace(filter) })),
    );
    let failure: { readonly error: unknown } | null = null;
    await run().catch((error: unknown) => {
      failure = { error };
    });
    const parts = await Promise.all(
      traces.map(async ({ node, trace }) => withNode(node, await trace.stop())),
    );
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
    return mergeByTime(parts);
  } finally {
    await Promise.all(nodes.map(({ backend }) => backend.close()));
  }
}

function withNode(node: string, steps: readonly TraceStep[]): readonly NodeStep[] {
  return steps.map((step) => ({ ...step, node }));
}

/** Steps of all nodes in order of time; steps of one node keep their order where times are equal. */
function mergeByTime(parts: readonly (readonly NodeStep[])[]): readonly NodeStep[] {
  // Array.prototype.sort is stable.
  return parts.flat().sort((a, b) => a.time - b.time);
}
