/** The library brings no types. What is said here is what it returns for lines without `# TYPE`. */
declare module "parse-prometheus-text-format" {
  type Sample = { readonly value: string; readonly labels?: Readonly<Record<string, string>> };
  export default function parse(
    text: string,
  ): readonly { readonly name: string; readonly metrics: readonly Sample[] }[];
}
