import {
  ErrorCode,
  type EvaluationContext,
  FlagNotFoundError,
  type JsonValue,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
  TypeMismatchError,
} from '@openfeature/server-sdk';
import { decide, type FlagKey, flagKeys } from './rule.ts';
import type { Settings } from './settings.ts';

/**
 * The flags in system_settings as a provider of OpenFeature; a team that has another one registers that instead. The
 * user is the context's targetingKey. While the database is away every flag has its default (reason ERROR).
 * https://openfeature.dev/specification/sections/providers
 */
export class SystemSettingsProvider implements Provider {
  readonly metadata = { name: 'lockstep system_settings' };
  readonly runsOn = 'server';
  readonly events = new OpenFeatureEventEmitter();
  readonly #settings: Settings;
  #forget: () => void = () => undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async initialize(): Promise<void> {
    this.#forget = this.#settings.onChange(({ flags }) => {
      this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [...flags.keys()] });
    });
  }

  async onClose(): Promise<void> {
    this.#forget();
  }

  async resolveBooleanEvaluation(
    flag: string,
    defaultValue: boolean,
    { targetingKey }: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    if (!flagKeys.includes(flag as FlagKey)) throw unknownFlag(flag);
    const failed = (errorCode: ErrorCode, errorMessage: string) => ({
      value: defaultValue,
      reason: 'ERROR',
      errorCode,
      errorMessage,
    });
    const state = await this.#settings.current().catch(() => undefined);
    if (!state) return failed(ErrorCode.GENERAL, 'The flags cannot be read from the database.');
    if (!state.flags.has(flag as FlagKey)) return { value: defaultValue, reason: 'DEFAULT' };
    const rule = state.flags.get(flag as FlagKey);
    if (!rule) return failed(ErrorCode.PARSE_ERROR, `The value of ${flag} in system_settings is not understood.`);
    return decide(flag, rule, targetingKey);
  }

  // All flags are booleans.
  async resolveStringEvaluation(flag: string): Promise<ResolutionDetails<string>> {
    throw new TypeMismatchError(`${flag} is a boolean.`);
  }
  async resolveNumberEvaluation(flag: string): Promise<ResolutionDetails<number>> {
    throw new TypeMismatchError(`${flag} is a boolean.`);
  }
  async resolveObjectEvaluation<T extends JsonValue>(flag: string): Promise<ResolutionDetails<T>> {
    throw new TypeMismatchError(`${flag} is a boolean.`);
  }
}

function unknownFlag(flag: string): FlagNotFoundError {
  return new FlagNotFoundError(`${flag} is none of ${flagKeys.join(', ')}.`);
}
