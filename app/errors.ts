/** What can go wrong here and nowhere else; errors of the server are passed on as they are. */
const meanings = {
  LS_APP_ROW:
    'Nothing was written. The schema of the database and this version of the application do not fit together.',
  LS_APP_SETTINGS: 'Nothing was read or written: without the phase nobody knows which tables to ask.',
  LS_APP_ROLLED_BACK: 'Nothing of the transaction was written.',
  LS_APP_GUARDED:
    'Nothing was written. Both sides refused the write: the migration turned twice while it was under way. Try again.',
} as const;

export type AppErrorCode = keyof typeof meanings;

/** An error of the application's side of the migration. `meaning`: what it means for the data. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: AppErrorCode;

  /** `message`: what happened, in a sentence; never values of rows. */
  constructor(code: AppErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get meaning(): string {
    return meanings[this.code];
  }
}
