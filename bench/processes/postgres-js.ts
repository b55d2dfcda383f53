/**
 * `subscribe` of postgres.js with a handler that only counts. Arguments: database URL, publication. Sends its walsender's
 * process id when it is subscribed; told a number, sends `done` when it has been handed so many changes.
 */
import postgres from 'postgres';

const [url = '', publications = ''] = process.argv.slice(2);
const sql = postgres(url, { publications, max: 1 });
let seen = 0;
let wanted = Number.POSITIVE_INFINITY;
const tellWhenDone = () => {
  if (seen < wanted) return;
  wanted = Number.POSITIVE_INFINITY;
  process.send?.('done');
};
// Its types leave out `state`.
const handle = await sql.subscribe('*', () => {
  seen += 1;
  tellWhenDone();
});
process.on('message', (count) => {
  wanted = Number(count);
  tellWhenDone();
});
process.send?.({ pid: (handle as unknown as { state: { pid: number } }).state.pid });
