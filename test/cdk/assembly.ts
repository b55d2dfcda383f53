import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Resource } from './support.ts';

const root = join(import.meta.dirname, '../..');

/** `npx cdk synth` as a machine without Docker, credentials and internet would run it. @returns the assembly's folder. */
export async function synth(environment: string): Promise<string> {
  const output = mkdtempSync(join(tmpdir(), 'lockstep-assembly-'));
  const cli = join(root, 'node_modules/aws-cdk/bin/cdk');
  // A port of this machine where nothing listens: whoever tries the network fails at once.
  const nowhere = 'http://127.0.0.1:9';
  await promisify(execFile)(process.execPath, [cli, 'synth', '-q', '-o', output, '-c', `environment=${environment}`], {
    cwd: root,
    env: {
      HOME: output,
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      AWS_EC2_METADATA_DISABLED: 'true',
      CDK_DOCKER: '/nonexistent/docker',
    },
  });
  return output;
}

interface TemplateJson {
  readonly Resources: Record<string, Resource & { readonly Metadata?: Record<string, string> }>;
  readonly Outputs?: Record<string, { readonly Value: unknown; readonly Export?: { readonly Name: unknown } }>;
}

export interface Assembly {
  readonly folder: string;
  readonly resources: Readonly<Record<string, TemplateJson['Resources'][string]>>;
  /** What CloudFormation would make of a value of a template, with these values of resources: `Id` or `Id.Attribute`. */
  resolve(value: unknown, values: Readonly<Record<string, string>>): string;
}

/** All templates of an assembly in one. Logical ids are unique among ours. */
export function readAssembly(folder: string): Assembly {
  const templates = readdirSync(folder)
    .filter((file) => file.endsWith('.template.json'))
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as TemplateJson);
  const resources = Object.assign({}, ...templates.map(({ Resources }) => Resources));
  const outputs = templates.flatMap(({ Outputs }) => Object.values(Outputs ?? {}));
  const resolve: Assembly['resolve'] = (value, values) => {
    if (typeof value === 'string') return value;
    const [[name, argument] = []] = Object.entries(value as Record<string, unknown>);
    const known = (id: string) => {
      const found = values[id];
      if (found === undefined) throw new Error(`the test gives no value for ${id}`);
      return found;
    };
    switch (name) {
      case 'Ref':
        return known(String(argument));
      case 'Fn::GetAtt':
        return known((argument as string[]).join('.'));
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, unknown[]];
        return parts.map((part) => resolve(part, values)).join(separator);
      }
      case 'Fn::ImportValue': {
        const output = outputs.find(({ Export }) => Export?.Name === argument);
        if (!output) throw new Error(`no stack exports ${String(argument)}`);
        return resolve(output.Value, values);
      }
      default:
        throw new Error(`the test does not know ${name}`);
    }
  };
  return { folder, resources, resolve };
}
