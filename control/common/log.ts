/** What a program that serves says while it runs: lines on standard error, each with the time (ISO 8601, UTC). */
export function logLine(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}
