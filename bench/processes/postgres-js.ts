/**
 * `subscribe` of postgres.js with a handler that only counts. Arguments: database URL, publication, slot, changes. Ends
 * when it has been handed so many changes.
 *
 * postgres.js always reads from a slot of its own, which begins at the present end of the WAL. To read the WAL that the
 * others read, its two replication commands are changed on their way to the server: they name the slot that is given.
 */
import { Socket } from 'node:net';
import postgres from 'postgres';

const [url = '', publications = '', slot = '', changes = ''] = process.argv.slice(2);

/** A query of the simple protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html */
function simpleQuery(text: string): Buffer {
  const message = Buffer.from(`Q....${text}\0`);
  message.writeUInt32BE(message.length - 1, 1);
  return message;
}

const write = Socket.prototype.write;
Socket.prototype.write = function (this: Socket, chunk: unknown, ...rest: unknown[]) {
  const text = Buffer.isBuffer(chunk) && chunk[0] === 0x51 ? chunk.toString('utf8', 5, chunk.length - 1) : '';
  const changed = text.startsWith('CREATE_REPLICATION_SLOT')
    ? simpleQuery(`SELECT '${slot}' AS slot_name, '0/0' AS consistent_point`)
    : text.startsWith('START_REPLICATION')
      ? simpleQuery(text.replace(/SLOT \w+/, `SLOT ${slot}`))
      : chunk;
  return Reflect.apply(write, this, [changed, ...rest]);
} as typeof write;

const sql = postgres(url, { publications, max: 1 });
const wanted = Number(changes);
let seen = 0;
await sql.subscribe('*', () => {
  seen += 1;
  if (seen === wanted) process.exit(0);
});
