/** What is accepted but deserves a word, in lines for a person. Pure. */

/** The same remark about many places of one file is said once, with their number. */
export function remarkLines(warnings: readonly string[]): readonly string[] {
  const remarks = new Map<string, { first: string; count: number }>();
  for (const warning of warnings) {
    const key = warning.replace(/:\d+:/, ':');
    const known = remarks.get(key);
    if (known === undefined) remarks.set(key, { first: warning, count: 1 });
    else known.count++;
  }
  return [...remarks.values()].map(({ first, count }) =>
    count === 1 ? `note: ${first}` : `note: ${first} (and ${count - 1} more)`,
  );
}
