#!/usr/bin/env node
import { main } from '../build/js/control/main.js';

process.exitCode = await main(process.argv.slice(2));
// A connection to a peer that never answers must not keep a program that has ended; the timer alone keeps nothing.
setTimeout(() => process.exit(), 5000).unref();
