import { join } from 'node:path';
import { AssetHashType, type AssetOptions, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BundleName, writeBundle } from './bundle.ts';

const functions = join(import.meta.dirname, '../../functions');

/** Bundles on this machine, into the assembly; hashed by what came out. The image is never asked for. */
export function bundled(write: (folder: string) => void): AssetOptions {
  const tryBundle = (folder: string) => {
    write(folder);
    return true;
  };
  return {
    assetHashType: AssetHashType.OUTPUT,
    bundling: { image: DockerImage.fromRegistry('none'), local: { tryBundle } },
  };
}

/** A function's code. */
export function codeOf(name: Exclude<BundleName, 'listener'>): Code {
  return Code.fromAsset(
    join(functions, name),
    bundled((folder) => writeBundle(name, folder)),
  );
}
