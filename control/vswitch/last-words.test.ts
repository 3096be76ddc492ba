/** What is read out of VPP's log when it died; lines as VPP 26.06 and 23.02 wrote them, with and without syslog. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lastWords } from './last-words.js';

const test = suite('last words of a VPP');

const STARVED_26 = `2026/11/21 21:25:47:869: ***** Start: PID 21316 *****
vlib_worker_thread_barrier_sync_int: worker thread deadlock
os_panic() called, aborting.
\u001b[31mvpp[21316]: received signal SIGABRT, PC 0x7fafd5403eec\u001b[0m
vpp[21316]: Code:  89 c5 f7 dd 3d 00 f0 ff ff b8 00 00 00 00 0f 47 c5 e9 7a ff
vpp[21316]: #0  0x00007fafd5403eec pthread_key_delete + 0x14c
vpp[21316]:      from /lib/x86_64-linux-gnu/libc.so.6
vpp[21316]: #1  0x00007fafd53b4fb2 gsignal + 0x12
vpp[21316]: #2  0x00007fafd539f472 abort + 0xd3
vpp[21316]: #3  0x00005625092080dd os_panic + 0x2d
vpp[21316]: #4  0x00007fafd56c873a vlib_worker_thread_barrier_sync_int + 0x63a
vpp[21316]: #5  0x00007fafd6f409e9 vl_msg_api_socket_handler + 0x1d9
vpp[21316]: #6  0x00007fafd6f5b50d vl_socket_process_api_msg + 0x1d
vpp[21316]: #7  0x00007fafd6f61cd1 vl_api_clnt_process + 0xcb1
`;

const STARVED_23 = `vpp[26990]: vnet_feature_arc_init:272: feature node 'ip4-dhcp-client-detect' not found
vlib_worker_thread_barrier_sync_int: worker thread deadlock
vpp[26990]: received signal SIGABRT, PC 0x7f438b8a8eec
vpp[26990]: #0  0x00007f438baa9a32 unix_signal_handler + 0xd2
vpp[26990]: #1  0x00007f438b85a050 0x7f438b85a050
vpp[26990]: #3  0x00007f438b859fb2 gsignal + 0x12
vpp[26990]: #6  0x00007f438ba8cdcd vlib_worker_thread_barrier_sync_int + 0x4ed
vpp[26990]: #7  0x00007f438d7d88c9 vl_msg_api_socket_handler + 0x1d9
`;

/** Release 23.02 tells signals to syslog alone. */
const STARVED_23_QUIET = `vnet_feature_arc_init:272: feature node 'ip4-dhcp-client-detect' not found
vlib_worker_thread_barrier_sync_int: worker thread deadlock
`;

const KILLED_26 = `\u001b[91mreceived signal SIGABRT, PC 0x7f47163ac503\u001b[39m
Code: \u001b[36m f7 d8 c3 66 2e 0f 1f 84 00 00 00 00 00 48 83 ec 28 48 89 54\u001b[39m
#0  \u001b[34m0x00007f47163ac503\u001b[39m\u001b[33m clock_nanosleep + 0x23\u001b[39m
\u001b[32m     from /lib/x86_64-linux-gnu/libc.so.6\u001b[39m
#2  \u001b[34m0x00007f471666698f\u001b[39m\u001b[33m vlib_file_poll + 0x6df\u001b[39m
`;

const HINT =
  'a worker thread did not get its core for a second: isolate the cores of vpp.startup.workerCores';
const DEADLOCK = 'vlib_worker_thread_barrier_sync_int: worker thread deadlock';

test('a starved worker is named, with what helps', () => {
  const frames = 'in vlib_worker_thread_barrier_sync_int, called by vl_msg_api_socket_handler';
  assert.is(
    lastWords(STARVED_26),
    `SIGABRT, ${DEADLOCK}, ${frames}, called by vl_socket_process_api_msg; ${HINT}`,
  );
  assert.is(lastWords(STARVED_23), `SIGABRT, ${DEADLOCK}, ${frames}; ${HINT}`);
  assert.is(lastWords(STARVED_23_QUIET), `${DEADLOCK}; ${HINT}`);
});

test('a signal is told with where it met VPP', () => {
  assert.is(lastWords(KILLED_26), 'SIGABRT, in clock_nanosleep, called by vlib_file_poll');
  assert.is(lastWords('received signal SIGSEGV, PC 0x1, faulting address 0x0\n'), 'SIGSEGV');
});

test('a heap that is full is named', () => {
  const log = 'received signal SIGABRT, PC 0x1\n#4  0x0000562509208 os_out_of_memory + 0x1\n';
  assert.is(lastWords(log), 'SIGABRT, in os_out_of_memory; its heap is full: vpp.startup.heap');
});

test('without last words nothing is said', () => {
  assert.is(lastWords(''), null);
  assert.is(lastWords("vnet_feature_arc_init:272: feature node 'x' not found\n#0 of something\n"), null);
});

test.run();
