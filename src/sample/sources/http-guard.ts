/**
 * Where a connection may lead: which URLs, and which addresses, looked at in the moment of connecting. A socket is
 * opened to the very addresses that were looked at, so that a name cannot mean one thing to the check and another to
 * the socket.
 */
import { lookup as lookupName, Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { isLoopback, judgeAddress, type Network, parseNetworks } from "../../core/address.ts";
import { Problem } from "../../core/problem.ts";

export type GuardOptions = {
  /** The connection's own URL. */
  readonly url: string;
  /** Further hosts, `name` or `name:port`. */
  readonly hosts: readonly string[];
  /** Private networks that are fine, as CIDR. */
  readonly networks: readonly string[];
  /** Name servers; undefined: the system's way. */
  readonly dns: readonly string[] | undefined;
  /** Certificates (PEM) that are trusted; undefined: the usual ones. */
  readonly ca: string | undefined;
  /** True: plain HTTP leads to this machine alone. */
  readonly encryptedOnly: boolean;
  /** The connection, for messages. */
  readonly where: string;
};

type Resolved = { readonly address: string; readonly family: number };

/** Name servers are asked twice at most, this long each. */
const resolveMsMax = 2_000;
const namesMax = 100;

export class Guard {
  readonly #options: GuardOptions;
  readonly #networks: readonly Network[];
  readonly #hosts: ReadonlySet<string>;
  readonly #connector: buildConnector.connector;
  /** Names that were found at addresses that are fine. */
  readonly #met = new Set<string>();
  #reached: string | null = null;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#networks = parseNetworks(options.networks);
    this.#hosts = new Set(options.hosts.map((host) => host.toLowerCase()));
    this.#connector = buildConnector({
      lookup: this.#lookup,
      allowH2: false,
      // Said aloud, since otherwise an environment variable decides.
      rejectUnauthorized: true,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
  }

  /** The address that was connected to last, with its port. */
  get reached(): string | null {
    return this.#reached;
  }

  /** @throws Problem NET-001 or NET-002 if nothing may be asked of this URL */
  checkUrl(url: URL): void {
    const { where } = this.#options;
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      throw new Problem(`${url.protocol} is neither http nor https`, {
        code: "NET-001",
        where,
        fix: "write https://...",
      });
    }
    const own = new URL(this.#options.url);
    const same = bare(url) === bare(own) && (portOf(url) === portOf(own) || isUpgrade(own, url));
    if (!same && !this.#isListed(url)) {
      throw new Problem(`${url.host} is another host than the connection's`, {
        code: "NET-002",
        where,
        fix: "add it to the connection's hosts if that is meant",
      });
    }
    if (isIP(bare(url)) !== 0) this.#checkAddress(bare(url), bare(url));
  }

  /** For undici: connects to what {@link checkUrl} and the look at each address let through. */
  readonly connect: buildConnector.connector = (options, callback) => {
    try {
      if (isIP(unbracketed(options.hostname)) !== 0)
        this.#checkAddress(unbracketed(options.hostname), options.hostname);
    } catch (thrown) {
      callback(thrown as Error, null);
      return;
    }
    this.#connector({ ...options, hostname: unbracketed(options.hostname) }, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const { remoteAddress = "", remotePort } = socket;
      const fault = this.#faultOf(remoteAddress, options.protocol);
      if (fault !== null) {
        socket.destroy();
        return callback(fault, null);
      }
      this.#reached = `${remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
      return callback(null, socket);
    });
  };

  /** Of a socket that is connected: once more where it leads, and whether what is secret may go there. */
  #faultOf(address: string, protocol: string): Problem | null {
    try {
      this.#checkAddress(address, address);
    } catch (thrown) {
      return thrown as Problem;
    }
    if (!this.#options.encryptedOnly || protocol === "https:" || isLoopback(address)) return null;
    return new Problem("credentials are not sent over plain http to another machine", {
      code: "NET-017",
      where: this.#options.where,
      fix: "use https, or remove auth and headers by reference",
    });
  }

  #isListed(url: URL): boolean {
    const usual = url.port === "" && this.#hosts.has(bare(url));
    return usual || this.#hosts.has(`${bare(url)}:${portOf(url)}`) || this.#hosts.has(url.host);
  }

  #checkAddress(address: string, host: string): void {
    const verdict = judgeAddress(address, this.#networks);
    if (verdict.allowed) return;
    const moved = this.#met.has(host);
    const what = isIP(host) === 0 ? `${host} is at ${address}, which is` : `${address} is`;
    throw new Problem(`${what} ${verdict.reason}${moved ? "; it was elsewhere before" : ""}`, {
      code: moved ? "NET-004" : "NET-002",
      where: this.#options.where,
      fix: /^a (?:private|loopback)/.test(verdict.reason)
        ? "add its network to the connection's networks if it is yours"
        : "such addresses are never connected to",
    });
  }

  readonly #lookup: LookupFunction = (host, options, callback) => {
    const answer = (found: readonly Resolved[]): void => {
      const first = found[0] as Resolved;
      if (options.all === true) callback(null, [...found]);
      else callback(null, first.address, first.family);
    };
    this.#addressesOf(host).then(answer, (error: Error) => callback(error, []));
  };

  /** Every address that a name stands for is looked at; if one is not fine, none is. */
  async #addressesOf(host: string): Promise<readonly Resolved[]> {
    const { dns, where } = this.#options;
    const found = await (dns === undefined ? lookupName(host, { all: true }) : resolveWith(dns, host));
    if (found.length === 0) {
      const fix = "check the connection's url and dns";
      throw new Problem(`${host} has no address`, { code: "NET-010", where, fix, retryable: true });
    }
    // Fine and not fine at once is what a name does that is about to change.
    if (found.some(({ address }) => judgeAddress(address, this.#networks).allowed)) this.#meet(host);
    for (const { address } of found) this.#checkAddress(address, host);
    return found;
  }

  #meet(host: string): void {
    if (this.#met.size >= namesMax) this.#met.clear();
    this.#met.add(host);
  }
}

async function resolveWith(servers: readonly string[], host: string): Promise<Resolved[]> {
  // This machine, whatever a name server says (RFC 6761, 6.3).
  if (/(?:^|\.)localhost\.?$/i.test(host)) return [{ address: "127.0.0.1", family: 4 }];
  const resolver = new Resolver({ timeout: resolveMsMax, tries: 2 });
  resolver.setServers(servers);
  const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [
    ...(four.status === "fulfilled" ? four.value.map((address) => ({ address, family: 4 })) : []),
    ...(six.status === "fulfilled" ? six.value.map((address) => ({ address, family: 6 })) : []),
  ];
  if (found.length === 0 && four.status === "rejected") throw four.reason;
  return found;
}

/** The host without brackets and the dot at its end. */
function bare(url: URL): string {
  return unbracketed(url.hostname).replace(/\.$/, "");
}

function unbracketed(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

function portOf(url: URL): string {
  if (url.port !== "") return url.port;
  return url.protocol === "https:" ? "443" : "80";
}

/** From http to https, both on their usual ports. */
function isUpgrade(from: URL, to: URL): boolean {
  return from.protocol === "http:" && from.port === "" && to.protocol === "https:" && to.port === "";
}
