/** Labels of nodes and pods, and what selects by them. */

/** A node as the scheduler sees it. */
export interface ScheduleNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Gets no new pods (`kubectl cordon`, `drain`); not all nodes may be so. */
  readonly cordoned?: boolean;
}

/** Whether all labels of the selector (a nodeSelector, or a Service's) are there. */
export function matches(
  labels: Readonly<Record<string, string>>,
  selector: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}
