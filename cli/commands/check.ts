import { relative } from 'node:path';
import { checkRules, type Finding } from '../../engine/check/rules.ts';
import type { CommandSpec } from '../command.ts';

export const check: CommandSpec<Record<string, never>> = {
  name: 'check',
  summary: 'finds mistakes of a migration folder before any data moves, on a scratch database of its own',
  argument: ['[dir]', 'the folder; default: that of --migration'],
  examples: [
    ['check', 'exit 0 when nothing is wrong, 1 when something is: what, why it matters, and the fix'],
    ['check ../shop-migration', 'another migration folder'],
    ['check --json', 'for machines'],
  ],
  configure(command) {
    command.addHelpText(
      'after',
      '\nStarts an embedded PostgreSQL, applies the numbered SQL (000 is the legacy schema), fills the legacy tables (dev.ts, or\nmade-up rows), and rehearses random changes. No other database is connected to.',
    );
  },
  async run({ output, folder }, _options, argument) {
    // Here only: the embedded server is not installed where Lockstep is deployed.
    const { checkFolder } = await import('../check/folder.ts');
    const { folder: checked, name, report } = await checkFolder(argument || folder);
    const findings = report.findings.map((finding) => ({ ...finding, ...checkRules[finding.rule] }));
    const rehearsed = Object.entries(report.rehearsed).map(([direction, count]) => `${count} ${direction}`);
    const shown = relative(process.cwd(), checked) || '.';
    const text =
      findings.length === 0
        ? `Nothing is wrong with the migration "${name}" (${shown}): ${rehearsed.join(' and ')} transactions rehearsed.`
        : [
            ...findings.map(findingText),
            `${findings.length} ${findings.length === 1 ? 'mistake' : 'mistakes'} in the migration "${name}" (${shown}).`,
          ].join('\n\n');
    output.print({ event: 'checked', migration: name, folder: checked, findings, rehearsed: report.rehearsed }, text);
    return findings.length === 0 ? 0 : 1;
  },
};

function findingText({
  rule,
  direction,
  subject,
  found,
  reason,
  fix,
}: Finding & { reason: string; fix: string }): string {
  return `${direction} ${subject}: ${rule}\n  Found:   ${found}\n  Reason:  ${reason}\n  Fix:     ${fix}`;
}
