/** 0 done, 1 failed at run time, 2 bad definition or usage, 75 try again later. */
export const exitCodes = { done: 0, failed: 1, usage: 2, later: 75 } as const;

/** Thrown by a command that printed what it had to say and did not succeed. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}
