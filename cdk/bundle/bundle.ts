import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { rdsAuthorities } from './authorities.ts';

const root = join(import.meta.dirname, '../..');

/** What each bundle is made of: its entries in functions/, and whether it carries the SQL. */
export const bundles = {
  listener: { entries: ['main', 'probe'], sql: false },
  apply: { entries: ['main'], sql: false },
  cutover: { entries: ['main'], sql: false },
  'rollback-sync': { entries: ['main'], sql: false },
  validate: { entries: ['main'], sql: false },
  health: { entries: ['main'], sql: false },
  migrate: { entries: ['main'], sql: true },
} as const;

export type BundleName = keyof typeof bundles;

/** Name of the PEM file at a bundle's root. */
export const authoritiesFile = 'rds-ca.pem';

/** What packages in CommonJS (pg, the parser) take for granted, and a module does not have. */
const commonJs = [
  "import { createRequire as __createRequire } from 'node:module';",
  'const require = __createRequire(import.meta.url);',
  'const __dirname = import.meta.dirname;',
  'const __filename = import.meta.filename;',
].join('\n');

/**
 * Writes a bundle into an empty folder: `functions/NAME/ENTRY.mjs` with everything that it imports, the authorities of
 * RDS, and, if it carries the SQL, the steps. It runs on Node alone: no node_modules, no network, no Docker.
 */
export function writeBundle(name: BundleName, folder: string, now = new Date()): void {
  const { entries, sql } = bundles[name];
  const output = join(folder, 'functions', name);
  buildSync({
    entryPoints: Object.fromEntries(entries.map((entry) => [entry, join(root, 'functions', name, `${entry}.ts`)])),
    outdir: output,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minifySyntax: true,
    legalComments: 'none',
    absWorkingDir: root,
    logLevel: 'warning',
    external: ['pg-native'],
    banner: { js: commonJs },
  });
  writeFileSync(join(folder, authoritiesFile), rdsAuthorities(now));
  if (sql) writeSql(folder, output);
}

/**
 * Beside the code, where it looks: the engine's steps are `../schema` of its module, the migration's `../../sql`, and
 * the parser's WebAssembly lies next to the module.
 */
function writeSql(folder: string, output: string): void {
  cpSync(join(root, 'engine/schema'), join(folder, 'functions/schema'), { recursive: true });
  const target = join(folder, 'sql');
  mkdirSync(target);
  for (const file of readdirSync(join(root, 'sql')).filter((name) => name.endsWith('.sql'))) {
    copyFileSync(join(root, 'sql', file), join(target, file));
  }
  const parser = dirname(createRequire(import.meta.url).resolve('libpg-query'));
  copyFileSync(join(parser, 'libpg-query.wasm'), join(output, 'libpg-query.wasm'));
}
