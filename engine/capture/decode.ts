import { type Pgoutput, PgoutputPlugin } from 'pg-logical-replication';

export type Decode = (payload: Buffer) => Pgoutput.Message;

const asText = (text: string) => text;

/**
 * A decoder of pgoutput, protocol 1, for one stream (it remembers the relations that the stream has announced). Values
 * stay the text that PostgreSQL sent: the library would turn them into numbers and dates, which have less precision.
 */
export function createDecoder(publicationName: string): Decode {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publicationName], messages: true });
  return (payload) => {
    const message: Pgoutput.Message = plugin.parse(payload);
    if (message.tag === 'relation') {
      // The very object that the library keeps and reads the tuples with.
      for (const column of message.columns) column.parser = asText;
    }
    return message;
  };
}
