/** Personal data as it may be shown: in logs, audit entries, errors and the console. */

/**
 * Addresses in a text, as their owner recognises them and nobody else can use them: `a***@shop.example`,
 * `+44*******567`, and of a URL the host alone, since its path may be a key.
 */
export function maskAddresses(text: string): string {
  return text
    .replace(/\bhttps?:\/\/[^\s"'<>]+/g, (url) => (URL.canParse(url) ? `${new URL(url).origin}/***` : "***"))
    .replace(/([^\s<>"'@])[^\s<>"'@]*@(?=[^\s<>"'@])/g, "$1***@")
    .replace(/\+?\d{7,}/g, (number) => `${number.slice(0, 3)}${"*".repeat(number.length - 6)}${number.slice(-3)}`);
}
