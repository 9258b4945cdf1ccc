/** What a cell of an answer may be, whatever the database. Pure. */

/** Bytes of one cell, and of all text of an answer. */
export const cellBytesMax = 65_536;
export const answerBytesMax = 64 * 1_048_576;
