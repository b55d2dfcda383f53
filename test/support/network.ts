import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Network extends AsyncDisposable {
  /** The server's address through it. */
  readonly url: string;
  /** Swallows everything from now on, as a network does whose state was lost. */
  fallSilent(): void;
  /** Forwards again; what was swallowed stays lost. */
  speak(): void;
  /** Ends every connection that there is, at once; new ones are forwarded. */
  cut(): void;
  /** Ends the one connection whose answer it is when the server answers so many times more; resolves when it has happened. */
  cutAtAnswer(count: number): Promise<void>;
}

/** Stands between the clients of a server and the server, which `target` is the URL of. */
export async function startNetwork(target: string): Promise<Network> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let silence = false;
  let answersLeft = Number.POSITIVE_INFINITY;
  let onCut = () => {};
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const answered = (socket: Socket) => {
    answersLeft -= 1;
    if (answersLeft > 0) return;
    answersLeft = Number.POSITIVE_INFINITY;
    socket.destroy();
    onCut();
  };
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        other.destroy();
        sockets.delete(socket);
      });
    }
    client.on('data', (data) => silence || upstream.write(data));
    upstream.on('data', (data) => {
      answered(client);
      if (!silence) client.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    fallSilent: () => {
      silence = true;
    },
    speak: () => {
      silence = false;
    },
    cut,
    cutAtAnswer: (count) =>
      new Promise((resolve) => {
        answersLeft = count;
        onCut = resolve;
      }),
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
