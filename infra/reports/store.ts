import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { LockstepError } from '../../engine/errors.ts';
import { environment } from '../contract.ts';

/** Keeps reports. */
export interface ReportStore {
  /** `name`: a path with slashes. What was there under it is replaced. */
  put(name: string, body: string, contentType: string): Promise<void>;
}

/** Files below a folder of this machine. Throws LS_REPORT_UNWRITABLE. */
export function folderStore(folder: string): ReportStore {
  return {
    async put(name, body) {
      const path = join(folder, name);
      try {
        await mkdir(dirname(path), { recursive: true });
        // Under its name there is always a whole report.
        await writeFile(`${path}.new`, body);
        await rename(`${path}.new`, path);
      } catch (error) {
        throw new LockstepError('LS_REPORT_UNWRITABLE', `The report could not be written to ${path}.`, {
          cause: error,
        });
      }
    },
  };
}

/** Objects of a bucket; the bucket's own settings encrypt and expire them. Throws LS_REPORT_UNWRITABLE. */
export function bucketStore(client: Pick<S3Client, 'send'>, bucket: string): ReportStore {
  return {
    async put(name, body, contentType) {
      try {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body: body, ContentType: contentType }));
      } catch (error) {
        throw new LockstepError('LS_REPORT_UNWRITABLE', `The report could not be written to ${bucket}/${name}.`, {
          cause: error,
        });
      }
    },
  };
}

/** The store that the environment names. Throws LS_CONFIG when it names none. */
export function reportStore(env: NodeJS.ProcessEnv = process.env): ReportStore {
  const bucket = env[environment.reportBucket];
  if (bucket) return bucketStore(new S3Client({}), bucket);
  const folder = env[environment.reportFolder];
  if (folder) return folderStore(folder);
  throw new LockstepError('LS_CONFIG', `Neither ${environment.reportBucket} nor ${environment.reportFolder} is set.`);
}
