import { type App, CloudFormationValidatePlugin, type IPolicyValidationPlugin, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/**
 * Makes synth fail on a finding of cdk-nag (AwsSolutions), and on a template that does not fit the schemas of
 * CloudFormation's resource types, which the second plugin brings along.
 */
export function addChecks(app: App): void {
  // It declares as "or undefined" what the interface declares as optional.
  const schemas = new CloudFormationValidatePlugin() as IPolicyValidationPlugin;
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), schemas);
}
