export const cells = 1;
