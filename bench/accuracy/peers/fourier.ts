/** Cooley and Tukey's transform in place, radix 2: fill `re` and `im`, call, read them. */
export class Fourier {
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #mirrored: Uint32Array;

  /** @param size a power of two, at least 2 */
  constructor(size: number) {
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
    this.#cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    const bits = Math.log2(size);
    this.#mirrored = Uint32Array.from({ length: size }, (_, k) => {
      let mirrored = 0;
      for (let bit = 0; bit < bits; bit += 1) if (k & (1 << bit)) mirrored |= 1 << (bits - 1 - bit);
      return mirrored;
    });
  }

  /** Of the complex number at a place. */
  length(at: number): number {
    const [re, im] = [this.re[at] as number, this.im[at] as number];
    return Math.sqrt(re * re + im * im);
  }

  transform(): void {
    this.#run(this.re, this.im);
  }

  /** With the parts exchanged the transform is its own inverse, but for the length. */
  inverse(): void {
    this.#run(this.im, this.re);
    const size = this.re.length;
    for (let k = 0; k < size; k += 1) {
      this.re[k] = (this.re[k] as number) / size;
      this.im[k] = (this.im[k] as number) / size;
    }
  }

  #run(re: Float64Array, im: Float64Array): void {
    const size = re.length;
    const [cosines, sines] = [this.#cos, this.#sin];
    for (let k = 0; k < size; k += 1) {
      const other = this.#mirrored[k] as number;
      if (other <= k) continue;
      [re[k], re[other]] = [re[other] as number, re[k] as number];
      [im[k], im[other]] = [im[other] as number, im[k] as number];
    }
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k += 1) {
          const low = start + k;
          const high = low + half;
          const cos = cosines[k * stride] as number;
          const sin = sines[k * stride] as number;
          const turnedRe = (re[high] as number) * cos - (im[high] as number) * sin;
          const turnedIm = (re[high] as number) * sin + (im[high] as number) * cos;
          re[high] = (re[low] as number) - turnedRe;
          im[high] = (im[low] as number) - turnedIm;
          re[low] = (re[low] as number) + turnedRe;
          im[low] = (im[low] as number) + turnedIm;
        }
      }
    }
  }
}
