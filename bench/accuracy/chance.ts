/** Mulberry32: small, seeded, and good enough for tails of one in a million. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(this.uniform() + 1e-12)) * Math.cos(2 * Math.PI * this.uniform());
  }

  poisson(mean: number): number {
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    let count = -1;
    for (let product = 1; product > Math.exp(-mean); count += 1) product *= this.uniform();
    return count;
  }

  binomial(trials: number, rate: number): number {
    const variance = trials * rate * (1 - rate);
    if (variance > 30) {
      return Math.min(trials, Math.max(0, Math.round(trials * rate + Math.sqrt(variance) * this.normal())));
    }
    let hits = 0;
    for (let trial = 0; trial < trials; trial += 1) if (this.uniform() < rate) hits += 1;
    return hits;
  }
}
