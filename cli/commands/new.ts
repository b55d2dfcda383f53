import { relative } from 'node:path';
import type { CommandSpec } from '../command.ts';
import { writeTemplate } from '../new/write.ts';

export const newCommand: CommandSpec<Record<string, never>> = {
  name: 'new',
  summary: 'writes a small migration folder that works, to begin your own with',
  argument: ['<dir>', 'a folder that does not exist yet, or is empty'],
  examples: [
    ['new ../shop-migration', 'legacy and normalized schema, views both ways, migration.ts, rows for dev, a test'],
    ['check ../shop-migration', 'then: is it right?'],
    ['dev --migration ../shop-migration', 'then: see it run'],
  ],
  configure() {},
  async run({ output }, _options, dir) {
    const { folder, name, files } = await writeTemplate(dir);
    const shown = relative(process.cwd(), folder) || '.';
    const text = [
      `Wrote the migration "${name}" to ${shown}:`,
      ...files.map((file) => `  ${file}`),
      'Next:',
      `  npx lockstep check ${shown}`,
      `  npx lockstep dev --migration ${shown}`,
      'docs/your-own-migration.md goes on from there.',
    ];
    output.print({ event: 'written', folder, name, files }, text.join('\n'));
    return 0;
  },
};
