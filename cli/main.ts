import { Command, CommanderError } from 'commander';
import { addCommand, addGroup, type CommandGroup, type CommandSpec } from './command.ts';
import { tolerateClosedOutput } from './output.ts';

/** In the order of the help. Each is loaded when it is typed: what it needs takes most of the time of a short command. */
const commands: Readonly<Record<string, () => Promise<CommandSpec<never> | CommandGroup>>> = {
  dev: async () => (await import('./commands/dev.ts')).dev,
  new: async () => (await import('./commands/new.ts')).newCommand,
  check: async () => (await import('./commands/check.ts')).check,
  plan: async () => (await import('./commands/plan.ts')).plan,
  migrate: async () => (await import('./commands/migrate.ts')).migrate,
  listen: async () => (await import('./commands/listen.ts')).listen,
  apply: async () => (await import('./commands/apply.ts')).apply,
  backfill: async () => (await import('./commands/backfill.ts')).backfill,
  status: async () => (await import('./commands/status.ts')).status,
  dashboard: async () => (await import('./commands/dashboard.ts')).dashboard,
  wait: async () => (await import('./commands/wait.ts')).wait,
  validate: async () => (await import('./commands/validate.ts')).validate,
  retry: async () => (await import('./commands/retry.ts')).retry,
  arm: async () => (await import('./commands/arm.ts')).arm,
  cutover: async () => (await import('./commands/cutover.ts')).cutover,
  rollback: async () => (await import('./commands/rollback.ts')).rollback,
  complete: async () => (await import('./commands/complete.ts')).complete,
  restore: async () => (await import('./commands/restore.ts')).restore,
  completion: async () =>
    (await import('./commands/completion.ts')).completionOf(() => programWith(Object.values(commands))),
};

const environment = `
Environment:
  LOCKSTEP_DATABASE_URL         the database, postgresql://user:password@host:port/name
  LOCKSTEP_DATABASE_SECRET_ARN  or the secret that holds its credentials
  LOCKSTEP_QUEUE_URL            the queue; region, credentials and AWS_ENDPOINT_URL_SQS as usual
  LOCKSTEP_DEBUG=1              stack traces

Exit codes: 0 fine, 1 the answer is no (drift, not caught up), 2 could not run.`;

async function programWith(loaders: readonly (() => Promise<CommandSpec<never> | CommandGroup>)[]): Promise<Command> {
  const program = new Command('lockstep')
    .description('Carries a live PostgreSQL schema migration from start to end without downtime.')
    .helpCommand(false)
    .showHelpAfterError('(lockstep --help lists the commands, lockstep COMMAND --help its options)')
    .addHelpText('after', environment)
    .exitOverride();
  for (const load of loaders) {
    const command = await load();
    if ('commands' in command) addGroup(program, command);
    else addCommand(program, command);
  }
  return program;
}

/** Runs one command line (without `node` and the script) and sets the exit code of the process. */
export async function main(argv: readonly string[]): Promise<void> {
  tolerateClosedOutput();
  const typed = commands[argv[0] ?? ''];
  const program = await programWith(typed ? [typed] : Object.values(commands));
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    // Commander has said what is wrong with the command line, or printed the help that was asked for.
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}
