import { performance } from 'node:perf_hooks';

export type Kind = 'read' | 'write';

export interface Latency {
  readonly stage: string;
  readonly kind: Kind;
  readonly requests: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly longestMs: number;
}

/** How long the requests of an application took, by the stage in which each began. */
export class Latencies {
  stage = '';
  /** So far. */
  requests = 0;
  readonly #taken = new Map<string, number[]>();

  async measure<T>(kind: Kind, request: () => Promise<T>): Promise<T> {
    const key = `${this.stage}\t${kind}`;
    const startedMs = performance.now();
    try {
      return await request();
    } finally {
      const taken = this.#taken.get(key) ?? [];
      taken.push(performance.now() - startedMs);
      this.#taken.set(key, taken);
      this.requests += 1;
    }
  }

  /** In the order of the stages. */
  summary(): Latency[] {
    return [...this.#taken].map(([key, taken]) => {
      const [stage = '', kind] = key.split('\t');
      return { stage, kind: kind as Kind, requests: taken.length, ...spread(taken) };
    });
  }
}

function spread(taken: readonly number[]): Pick<Latency, 'p50Ms' | 'p95Ms' | 'longestMs'> {
  const sorted = [...taken].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { p50Ms: at(0.5), p95Ms: at(0.95), longestMs: at(1) };
}

/** For people. */
export function table(latencies: readonly Latency[]): string {
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) => (column < 2 ? String(cell).padEnd(26 - 18 * column) : String(cell).padStart(10)))
      .join('');
  const ms = (value: number) => value.toFixed(1);
  return [
    line(['stage', '', 'requests', 'p50 ms', 'p95 ms', 'longest']),
    ...latencies.map((one) =>
      line([one.stage, one.kind, one.requests, ms(one.p50Ms), ms(one.p95Ms), ms(one.longestMs)]),
    ),
  ].join('\n');
}
