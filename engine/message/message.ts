import type { DirectionName } from '../migration/contract.ts';

/** Key values, then routing values, of one changed row of one source, as PostgreSQL prints them. Routing may be NULL. */
export type ChangedRow = readonly (string | null)[];

/** Rows that changed. Each source's rows are a set: the same key occurs once per different routing value. */
export interface ChangesMessage {
  readonly version: 1;
  readonly kind: 'changes';
  /** UUID; the ledger entry and the SQS deduplication id. */
  readonly id: string;
  readonly direction: DirectionName;
  readonly shard: number;
  /** By source name. */
  readonly rows: Readonly<Record<string, readonly ChangedRow[]>>;
}

/** Whole targets must be derived again: on the first start, since a source was truncated, since changes were lost. */
export interface BackfillMessage {
  readonly version: 1;
  readonly kind: 'backfill';
  /** UUID; the ledger entry and the backfill run. (Its continuations are sent under other deduplication ids.) */
  readonly id: string;
  readonly direction: DirectionName;
  /** `messages lost`: its end also strikes out every message that was entered before it. */
  readonly reason: 'first start' | 'truncate' | 'slot lost' | 'messages lost';
  /** Target names, in dependency order. */
  readonly targets: readonly string[];
}

export type Message = ChangesMessage | BackfillMessage;

/** A message as a queue carries it. */
export interface OutgoingMessage {
  readonly deduplicationId: string;
  /** Messages of one group are delivered in order, one batch at a time. */
  readonly group: string;
  readonly body: string;
}

/** Whatever accepts messages durably; `infra/sqs` implements it. */
export interface Publisher {
  /**
   * Resolves when every message has been accepted. Retries what was refused or throttled for as long as it takes;
   * throws only when `signal` aborts, or for an error that no repetition can mend (no such queue, access denied).
   */
  publish(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<void>;
}
