import type { DevTrafficCounts } from '../../engine/migration/dev.ts';
import type { QuarantineGroup } from '../../engine/status/queries.ts';
import type { Status } from '../../engine/status/status.ts';
import type { ValidationReport } from '../../engine/validate/report.ts';
import { countText } from '../text/units.ts';
import type { Tally } from './tally.ts';

export interface Summary {
  readonly legacy: DevTrafficCounts;
  readonly messages: { readonly sent: number; readonly requests: number };
  readonly merges: { readonly scopes: number; readonly rowsWritten: number; readonly backfillRowsWritten: number };
  /** From commit to applied; null when nothing was sent. */
  readonly lagMs: { readonly p50: number | null; readonly p99: number | null };
  readonly targets: readonly {
    readonly target: string;
    readonly compared: number;
    /** Rows that are not what they should be, and cannot be explained. */
    readonly drift: number;
    readonly quarantinedScopes: number;
  }[];
  readonly quarantine: readonly QuarantineGroup[];
  readonly agrees: boolean;
  /** Why it does not agree, or cannot be said to. */
  readonly reasons: readonly string[];
}

const noTraffic: DevTrafficCounts = { transactions: 0, changes: 0, rolledBack: 0, errors: 0 };

export function summarize(
  report: ValidationReport,
  status: Status,
  tally: Tally,
  legacy: DevTrafficCounts = noTraffic,
): Summary {
  return {
    legacy,
    messages: { sent: tally.sum('sqs_messages_sent'), requests: tally.sum('sqs_requests') },
    merges: {
      scopes: tally.sum('apply_scopes'),
      rowsWritten: tally.sum('apply_rows_written'),
      backfillRowsWritten: tally.sum('backfill_rows_written'),
    },
    lagMs: { p50: tally.lagMs(50) ?? null, p99: tally.lagMs(99) ?? null },
    targets: report.targets.map(({ target, compared, missing, extra, different, quarantined }) => {
      return { target, compared, drift: missing + extra + different, quarantinedScopes: quarantined.scopes };
    }),
    quarantine: status.quarantine,
    agrees: report.agrees,
    reasons: report.reasons,
  };
}

export function summaryText(summary: Summary): string {
  const { legacy, messages, merges, lagMs } = summary;
  const lag =
    lagMs.p50 === null || lagMs.p99 === null
      ? 'nothing was sent'
      : `p50 ${msText(lagMs.p50)}, p99 ${msText(lagMs.p99)}`;
  const lines = [
    [
      'legacy',
      `${countText(legacy.transactions)} transactions, ${countText(legacy.changes)} changes (${countText(legacy.rolledBack)} rolled back, ${countText(legacy.errors)} failed)`,
    ],
    ['messages', `${countText(messages.sent)} sent in ${countText(messages.requests)} requests`],
    [
      'merges',
      `${countText(merges.scopes)} scopes, ${countText(merges.rowsWritten)} rows written; ${countText(merges.backfillRowsWritten)} rows by backfill`,
    ],
    ['lag', `${lag} from commit to applied`],
    ...summary.targets.map(({ target, compared, drift, quarantinedScopes }) => [
      'target',
      `${target} ${drift === 0 ? 'agrees' : `DIFFERS in ${countText(drift)} rows`}: ${countText(compared)} rows compared, ${countText(quarantinedScopes)} scopes in quarantine`,
    ]),
    ...summary.quarantine.map(({ target, scopes, sqlState, message }) => [
      'quarantine',
      `${target}: ${countText(scopes)} scopes, ${message} (SQLSTATE ${sqlState})`,
    ]),
    ...summary.reasons.map((reason) => ['', reason]),
    ['result', summary.agrees ? 'every target agrees' : 'NOT every target agrees'],
  ];
  return ['', ...lines.map(([name = '', text = '']) => `${name.padEnd(11)} ${text}`)].join('\n');
}

function msText(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
