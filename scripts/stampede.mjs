#!/usr/bin/env node
/** `npx stampede`: a command by its name, or the demonstration (`npm run stampede`), which has none. */
import { exitWith, run } from './bootstrap.mjs';

const COMMANDS = ['certificate', 'verify'];

const [command, ...rest] = process.argv.slice(2);
if (command === 'help') {
  process.stdout.write(`Usage: npx stampede [command] [options]

  certificate SALE --out FILE   the certificate of a sale
  verify FILE                   is a certificate true?
  start                         the local stack, as npm start
  (none)                        thousands of buyers for a hundred units, and the proof that it went well

Each has --help.
`);
} else if (command && !command.startsWith('-') && ![...COMMANDS, 'start'].includes(command)) {
  process.stderr.write(`npx stampede: there is no command ${command}; npx stampede help lists them\n`);
  process.exitCode = 2;
} else if (command && !command.startsWith('-')) {
  exitWith(run(command, rest));
} else {
  exitWith(run('stampede', process.argv.slice(2)));
}
