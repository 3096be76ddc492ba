/**
 * One end of a request/response test over TCP, as tap-rr.c, in Node.js: one byte there, one byte back, one at a time.
 *
 *   node tap-rr.js server | node tap-rr.js client ADDRESS COUNT PAUSE_MS
 *
 * The client prints the round trips in microseconds, as JSON.
 */
import { connect, createServer } from 'node:net';

const PORT = 5555;
const WARM = 200;

function serve(): void {
  createServer((socket) => {
    socket.setNoDelay(true).on('data', (bytes) => socket.write(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => process.exit(0));
  }).listen(PORT, () => process.stdout.write('listening\n'));
}

function ask(address: string, count: number, pauseMs: number): void {
  const times: number[] = [];
  let sent = 0n;
  const socket = connect(PORT, address);
  const next = (): void => {
    sent = process.hrtime.bigint();
    socket.write('x');
  };
  socket.setNoDelay(true).on('connect', next);
  socket.on('data', () => {
    times.push(Number(process.hrtime.bigint() - sent) / 1000);
    if (times.length === WARM + count) {
      process.stdout.write(JSON.stringify(times.slice(WARM)));
      socket.end();
    } else if (pauseMs > 0 && times.length > WARM) setTimeout(next, pauseMs);
    else next();
  });
}

const [role, address = '', count = '0', pause = '0'] = process.argv.slice(2);
if (role === 'server') serve();
else ask(address, Number(count), Number(pause));
