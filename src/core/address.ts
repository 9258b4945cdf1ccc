/**
 * Which addresses Bellwether may connect to on its users' behalf. Pure: names are looked up elsewhere, at the moment of
 * connecting, and every address found is asked about here.
 *
 * Public addresses are fine. Private ones (loopback, RFC 1918, unique local, reserved for documents, tests or carriers)
 * are fine where a list of networks names them. Link-local ones, those that hand out a machine's own credentials, and
 * those that mean nobody or everybody are never fine, whatever a list says. An IPv4 address inside an IPv6 one counts.
 */
import ipaddr from "ipaddr.js";
import { Problem } from "./problem.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** One entry of a list of networks, read by {@link parseNetworks}. */
export type Network = { readonly address: Address; readonly bits: number };

/** `reason` continues `192.0.2.1 is `. */
export type AddressVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

/**
 * Addresses from which clouds hand out credentials and that no range below already covers: Alibaba, Azure's host agent,
 * Oracle's older one, Amazon and Google over IPv6.
 */
const metadata = new Set(
  ["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"].map((text) =>
    ipaddr.parse(text).toNormalizedString(),
  ),
);

/** Ranges that are refused whatever a list says, as a message calls them. */
const neverRanges: Readonly<Record<string, string>> = {
  linkLocal: "link-local",
  unspecified: "no address of a machine",
  broadcast: "a broadcast address",
  multicast: "a multicast address",
  discard: "a discard address",
};

/** @throws Problem CFG-019 for an entry that is no CIDR, `10.1.0.0/16` or `fd12::/16` */
export function parseNetworks(cidrs: readonly string[]): Network[] {
  return cidrs.map((cidr) => {
    if (!isNetwork(cidr)) {
      throw new Problem(`not a network (got ${JSON.stringify(cidr)})`, {
        code: "CFG-019",
        fix: "write it as CIDR, 10.1.0.0/16",
      });
    }
    const [address, bits] = ipaddr.parseCIDR(cidr);
    return { address, bits };
  });
}

/** Whether the text is a network as CIDR, in the one spelling of IPv4 that nobody reads in two ways. */
export function isNetwork(cidr: string): boolean {
  return ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr) || (cidr.includes(":") && ipaddr.IPv6.isValidCIDR(cidr));
}

/**
 * @param text an address as a resolver or a socket writes it; a zone behind `%` may be there
 * @param networks private addresses that are fine
 */
export function judgeAddress(text: string, networks: readonly Network[]): AddressVerdict {
  if (!isAddress(text)) return { allowed: false, reason: "no address" };
  const address = ipaddr.parse(text);
  const { carried, transparent } = carriedBy(address);
  const never = [address, ...carried].map(neverReason).find((reason) => reason !== null);
  if (never !== undefined && never !== null) return { allowed: false, reason: never };
  if (listed(address, networks)) return { allowed: true };
  const decisive = transparent ? carried : [address, ...carried];
  const strange = decisive.find((each) => each.range() !== "unicast" && !listed(each, networks));
  if (strange === undefined) return { allowed: true };
  const kind = strange.range() === "loopback" ? "a loopback" : "a private";
  return { allowed: false, reason: `${kind} address that no list of networks names` };
}

/** Whether the address is the machine's own, 127.0.0.0/8 or ::1, also inside `::ffff:`. */
export function isLoopback(text: string): boolean {
  return isAddress(text) && ipaddr.process(text).range() === "loopback";
}

function neverReason(address: Address): string | null {
  if (metadata.has(address.toNormalizedString().split("%")[0] as string)) return "a metadata address";
  const range = address.range();
  if (range === "linkLocal" && address.toString() === "169.254.169.254") return "a metadata address";
  return neverRanges[range] ?? null;
}

function listed(address: Address, networks: readonly Network[]): boolean {
  return networks.some(
    (network) => network.address.kind() === address.kind() && address.match(network.address, network.bits),
  );
}

/** Four decimal parts, or IPv6: `127.1`, `0x7f000001` and `2130706433` are left to those who read URLs. */
function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(":") && ipaddr.IPv6.isValid(text));
}

/**
 * The IPv4 addresses that an IPv6 one carries.
 * @returns `transparent`: what is carried is where packets go, and the outer address says nothing of its own
 */
function carriedBy(address: Address): { carried: readonly ipaddr.IPv4[]; transparent: boolean } {
  const bytes = address.toByteArray();
  const four = (...at: number[]): ipaddr.IPv4 => new ipaddr.IPv4(at.map((index) => bytes[index] as number));
  const last = (): ipaddr.IPv4 => four(12, 13, 14, 15);
  switch (address.range() as string) {
    case "ipv4Mapped":
    case "rfc6145":
      return { carried: [last()], transparent: true };
    case "rfc6052":
      if (bytes[5] === 0) return { carried: [last()], transparent: true };
      // NAT64 of somebody's own (RFC 8215), who may have put the address in either of two places (RFC 6052, 2.2).
      return { carried: [last(), four(6, 7, 9, 10)].filter(meansSomething), transparent: false };
    case "6to4":
      return { carried: [four(2, 3, 4, 5)], transparent: true };
    case "teredo": {
      // The server, and the client behind its address translator with every bit turned.
      const client = new ipaddr.IPv4(bytes.slice(12).map((byte) => byte ^ 0xff));
      return { carried: [four(4, 5, 6, 7), client], transparent: true };
    }
    default:
      return { carried: compatible(address, bytes) || isatap(bytes) ? [last()] : [], transparent: false };
  }
}

function meansSomething(address: ipaddr.IPv4): boolean {
  return address.range() !== "unspecified";
}

/** `::10.0.0.1` (RFC 4291, 2.5.5.1). */
function compatible(address: Address, bytes: readonly number[]): boolean {
  return bytes.length === 16 && address.range() === "unicast" && bytes.slice(0, 12).every((byte) => byte === 0);
}

/** An interface called `0:5efe:10.0.0.1` or `200:5efe:10.0.0.1` (RFC 5214). */
function isatap(bytes: readonly number[]): boolean {
  return (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}
