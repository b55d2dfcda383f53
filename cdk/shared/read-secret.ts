import { Stack } from 'aws-cdk-lib';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';

/**
 * Lets a role read one secret, and use its key through Secrets Manager only. In the role's policy alone: CDK's grant also
 * writes into the key's, and so ties the key's stack to stacks that come after it.
 */
export function readSecret(role: IRole, { secretArn, encryptionKey }: ISecret): void {
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: [secretArn] }),
  );
  if (!encryptionKey) return;
  const service = `secretsmanager.${Stack.of(role).region}.amazonaws.com`;
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['kms:Decrypt'],
      resources: [encryptionKey.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': service } },
    }),
  );
}
