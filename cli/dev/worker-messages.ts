import type { Failure } from '../failure.ts';

/** From a worker to the process that started it. The other way, `stop` is all there is to say. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'measures'; readonly values: readonly (readonly [metric: string, value: number])[] }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'failed'; readonly failure: Failure };
