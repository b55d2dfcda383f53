import { type CfnElement, CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { BlockPublicAccess, Bucket, BucketEncryption, type IBucket, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { environment } from '../../infra/contract.ts';
import type { PipelineStack } from '../pipeline/stack.ts';
import { acknowledge } from '../shared/acknowledge.ts';
import type { Deployment } from '../shared/deployment.ts';
import { createFunction } from '../shared/function.ts';
import { createSchedule } from '../shared/schedule.ts';

export interface ValidationProps extends StackProps {
  readonly pipeline: PipelineStack;
}

/** As long as a function may run; what is left goes on with the next invocation. */
const timeoutSeconds = 15 * 60;

/** Validations on schedules, and the bucket of their reports. */
export class ValidationStack extends Stack {
  readonly validate: LambdaFunction;

  constructor(scope: Construct, id: string, { pipeline, ...props }: ValidationProps) {
    super(scope, id, props);
    const { deployment, secrets } = pipeline;
    const { config, prefix } = deployment;
    const reports = this.createBucket(deployment);
    const { lambda, role } = createFunction(this, deployment, {
      name: 'validate',
      description: `${prefix}: compares both sides, writes reports`,
      secret: secrets.validator,
      timeoutSeconds,
      memoryMiB: config.validation.memoryMiB,
      environment: { [environment.reportBucket]: reports.bucketName },
    });
    this.validate = lambda;
    this.allowReports(role, reports, deployment);
    for (const task of ['counts', 'rows', 'upkeep'] as const) {
      createSchedule(this, `${task[0]?.toUpperCase()}${task.slice(1)}Schedule`, {
        name: `${prefix}-${task}`,
        expression: config.validation[task],
        lambda,
        input: { task },
      });
    }
    new CfnOutput(this, 'ReportBucket', { value: reports.bucketName });
  }

  private allowReports(role: Role, reports: Bucket, { key }: Deployment): void {
    role.addToPolicy(new PolicyStatement({ actions: ['s3:PutObject'], resources: [reports.arnForObjects('*')] }));
    role.addToPolicy(
      new PolicyStatement({
        actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
        resources: [key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `s3.${this.region}.amazonaws.com` } },
      }),
    );
    const bucket = this.getLogicalId(reports.node.defaultChild as CfnElement);
    acknowledge(role, {
      [`AwsSolutions-IAM5[Resource::<${bucket}.Arn>/*]`]:
        'A report has a new name each time; the function may write any object of this bucket, and read none.',
    });
  }

  private createBucket({ config, prefix, key }: Deployment): Bucket {
    const logs = new Bucket(this, 'AccessLogs', {
      // Log delivery cannot write to a bucket with a customer's key:
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(config.retention.reportDays) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(logs, { 'AwsSolutions-S1': 'It holds the access logs; logging them too would never end.' });
    return new Bucket(this, 'Reports', {
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      // Bucket declares as "or undefined" what IBucket declares as optional.
      serverAccessLogsBucket: logs as IBucket,
      serverAccessLogsPrefix: `${prefix}/`,
      lifecycleRules: [
        {
          expiration: Duration.days(config.retention.reportDays),
          noncurrentVersionExpiration: Duration.days(30),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      // Reports hold rows that differ: they outlive a mistaken tear-down, and the guide says how to delete them.
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
