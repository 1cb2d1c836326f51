/**
 * The denominator: uWebSockets.js that reads the same headers and the same body as a checkout, and sends the body back.
 * No machine of ours can be faster with this library. A process of its own; says `ready`.
 */
import uWS from 'uWebSockets.js';

const port = Number(process.env.PORT);
uWS
  .App()
  .post('/*', (res, req) => {
    let aborted = false;
    const read = req.getHeader('authorization').length + req.getHeader('idempotency-key').length;
    const json = req.getHeader('content-type') === 'application/json' && read > 0;
    const parts: Buffer[] = [];
    res.onAborted(() => {
      aborted = true;
    });
    res.onData((part, last) => {
      parts.push(Buffer.from(part.slice(0)));
      if (!last || aborted) return;
      res.cork(() => {
        res.writeStatus(json ? '201 Created' : '400 Bad Request');
        res.writeHeader('content-type', 'application/json');
        res.end(Buffer.concat(parts));
      });
    });
  })
  .listen('127.0.0.1', port, (socket) => {
    if (!socket) throw new Error(`port ${port} is taken`);
    process.send?.('ready');
  });
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
