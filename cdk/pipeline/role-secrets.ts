import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { HostedRotation, type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { databaseRoles } from '../../infra/contract.ts';
import type { Deployment } from '../shared/deployment.ts';
import { createSecurityGroup } from '../shared/security-group.ts';

export type RoleName = keyof typeof databaseRoles;

/**
 * A secret for each role of the database, in the shape that RDS writes, and its rotation by Secrets Manager's own
 * function. The deployment's migrations give the role the password; a rotation later changes both.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html
 */
export function createRoleSecrets(parent: Construct, deployment: Deployment): Record<RoleName, ISecret> {
  const { config, prefix, key, database, network } = deployment;
  const scope = new Construct(parent, 'Roles');
  const rotators = createSecurityGroup(scope, deployment, `${prefix} rotation of passwords`);
  const create = (name: RoleName): ISecret => {
    const secret = new Secret(scope, name, {
      secretName: `${prefix}/${databaseRoles[name]}`,
      description: `Lockstep ${config.name}: the database role ${databaseRoles[name]}`,
      encryptionKey: key,
      generateSecretString: {
        secretStringTemplate: JSON.stringify({
          engine: 'postgres',
          host: database.host,
          port: database.port,
          dbname: database.name,
          username: databaseRoles[name],
        }),
        generateStringKey: 'password',
        passwordLength: 40,
        excludePunctuation: true,
      },
      removalPolicy: config.production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    secret.addRotationSchedule('Rotation', {
      automaticallyAfter: Duration.days(config.retention.rotationDays),
      // The first rotation would run before the migrations have made the role.
      rotateImmediatelyOnUpdate: false,
      hostedRotation: HostedRotation.postgreSqlSingleUser({
        functionName: `${prefix}-rotate-${name}`,
        vpc: network.vpc,
        vpcSubnets: network.subnets,
        securityGroups: [rotators],
        excludeCharacters: ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
      }),
    });
    // Secret declares as "or undefined" what ISecret declares as optional.
    return secret as ISecret;
  };
  return {
    listener: create('listener'),
    applier: create('applier'),
    validator: create('validator'),
    monitor: create('monitor'),
    operator: create('operator'),
  };
}
