// A cache of Tenure's API keys in any language, here in Node without packages: what docs/CACHING.md says, in the same order.
//
//   cat keys - | node keycache.mjs http://127.0.0.1:8080 127.0.0.1:6379    one public:secret a line; prints what each is, and whenever that
//                                                                          changes, until its input ends
//   node keycache.mjs --conformance testdata/keycache.json           judges cases that Tenure judged
//
// TENURE_KEY is a key of the instance: without it Tenure throttles this address for wrong keys. TENURE_REDIS_USER, TENURE_REDIS_PASSWORD and
// TENURE_REDIS_PREFIX are for Redis.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, connect, isIP } from "node:net";
import { createInterface } from "node:readline";

const maxStale = 5000, keepUnknown = 10_000, block = 200, patience = 5000;

// ---- judging

const passed = (at, now) => at !== undefined && now >= Date.parse(at);

function inside(network, from) {
  const [address, bits] = network.split("/");
  const family = isIP(address);
  if (!from || !family || isIP(from) !== family) return false;
  const list = new BlockList(), name = "ipv" + family;
  list.addSubnet(address, Number(bits), name);
  return list.check(from, name);
}

// judge answers what VerifyKey would, or undefined if an entry is not known. get(scope, id) is an entry.
export function judge(key, get, environment, from, now) {
  environment ||= "default";
  if (from.startsWith("::ffff:")) from = from.slice(7);
  const a = {
    valid: false, reason: key.reason ?? "", key_id: key.id, project_id: key.project_id ?? "", org_id: "", user_id: key.user_id ?? "",
    plan_id: "", data_plane_id: "", environment, permissions: [],
  };
  a.reason ||= passed(key.expires_at, now) ? "KEY_EXPIRED" : "";
  let user, project, org = key.org_id;
  if (key.user_id) {
    if (!(user = get("user", key.user_id))) return undefined;
    a.reason ||= user.reason ?? "";
  }
  if (key.project_id) {
    if (!(project = get("project", key.project_id))) return undefined;
    org = project.org_id;
  }
  if (org) {
    const o = get("org", org);
    if (!o) return undefined;
    a.org_id = o.id, a.plan_id = o.plan_id ?? "", a.data_plane_id = o.data_plane_id ?? "";
    a.reason ||= o.reason ?? "";
  }
  a.reason ||= project?.reason ?? "";
  if (!a.reason && key.allowed_networks?.length && !key.allowed_networks.some((n) => inside(n, from))) a.reason = "NETWORK_NOT_ALLOWED";
  if (!a.reason && key.environments?.length && !key.environments.includes(environment)) a.reason = "WRONG_ENVIRONMENT";
  if (a.reason) return a;
  const own = { org: key.org_permissions ?? [], project: key.project_permissions ?? [] };
  let held = [...own.org, ...own.project];
  if (user && !user.instance_admin) {
    if (!(held = granted(user, own, get, now))) return undefined;
  }
  return { ...a, valid: true, reason: "VALID", permissions: [...new Set(held)].sort() };
}

// granted is what a person's key holds: of its own permissions those that the person holds in any place.
function granted(user, own, get, now) {
  const held = [], counted = new Set(), within = (a, b) => (a ?? []).filter((p) => b.includes(p));
  for (const h of user.holdings ?? []) {
    const org = get("org", h.org_id), project = h.project_id && get("project", h.project_id);
    if (!org || (h.project_id && !project)) return undefined;
    const place = h.org_id + " " + (h.project_id ?? "");
    // Of several at a place the first that has not ended; in a project only who holds something in the organization.
    if (passed(h.expires_at, now) || counted.has(place) || (h.project_id && !counted.has(h.org_id + " "))) continue;
    counted.add(place);
    if (org.reason || project?.reason || (project && project.org_id !== h.org_id)) continue;
    const gives = user.sets?.[(h.set ?? 0) - 1] ?? {};
    held.push(...within(gives.org_permissions, own.org), ...within(gives.project_permissions, own.project));
  }
  return held;
}

// ---- Redis

// Redis is a connection: do sends commands at once and answers a list of replies.
class Redis {
  #socket; #waiting = []; #data = Buffer.alloc(0);
  constructor(address) {
    const [host, port] = address.split(":");
    this.#socket = connect(Number(port), host);
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (d) => this.#read(d));
    this.#socket.on("error", (e) => this.close(e));
    this.#socket.on("close", () => this.close(new Error("Redis closed the connection")));
    const password = process.env.TENURE_REDIS_PASSWORD, user = process.env.TENURE_REDIS_USER;
    if (password) this.do(["AUTH", ...(user ? [user] : []), password]).catch((e) => this.close(e));
  }
  do(...commands) {
    if (this.failed) return Promise.reject(this.failed);
    const late = setTimeout(() => this.close(new Error("Redis does not answer")), patience);
    this.#socket.write(commands.map((c) => `*${c.length}\r\n` + c.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("")).join(""));
    return Promise.all(commands.map(() => new Promise((done, fail) => this.#waiting.push({ done, fail })))).finally(() => clearTimeout(late));
  }
  close(error) {
    this.failed ??= error;
    this.#socket.destroy();
    for (const w of this.#waiting.splice(0)) w.fail(this.failed);
  }
  #read(data) {
    this.#data = Buffer.concat([this.#data, data]);
    for (let r; this.#waiting.length && (r = reply(this.#data, 0)); ) {
      this.#data = this.#data.subarray(r.next);
      const w = this.#waiting.shift();
      r.value instanceof Error ? w.fail(r.value) : w.done(r.value);
    }
  }
}

// reply reads one reply, or undefined if it is not all there.
function reply(data, at) {
  const end = data.indexOf("\r\n", at);
  if (end < 0) return undefined;
  const kind = data.toString("latin1", at, at + 1), text = data.toString("utf8", at + 1, end), n = Number(text);
  let next = end + 2;
  if (kind === "+") return { value: text, next };
  if (kind === "-") return { value: new Error("Redis: " + text), next };
  if (kind === ":") return { value: n, next };
  if (n < 0) return { value: null, next };
  if (kind === "$") return data.length < next + n + 2 ? undefined : { value: data.toString("utf8", next, next + n), next: next + n + 2 };
  const list = [];
  for (let i = 0; i < n; i++) {
    const one = reply(data, next);
    if (!one) return undefined;
    list.push(one.value), (next = one.next);
  }
  return { value: list, next };
}

const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const crc32 = (text) => ~Buffer.from(text).reduce((c, b) => crcTable[(c ^ b) & 255] ^ (c >>> 8), -1) >>> 0;

const order = (a, b) => {
  const [p, n] = a.split("-").map(BigInt), [q, m] = b.split("-").map(BigInt);
  return p < q || (p === q && n < m) ? -1 : p === q && n === m ? 0 : 1;
};
const fields = (list) => Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));

// ---- the cache

export class Cache {
  #entries = new Map(); #pairs = new Map(); #unknown = new Map(); #current = []; #changes = 0; #epoch; #partitions = 0; #run = 0;
  constructor(tenure, redis, changed = () => {}) {
    Object.assign(this, { tenure, redis, changed, prefix: process.env.TENURE_REDIS_PREFIX || "tenure" });
    this.#begin();
  }

  // All begins anew whenever something may have been missed: nothing that was known is used again.
  async #begin() {
    const run = ++this.#run, connections = [];
    this.#entries.clear(), this.#changes++, (this.#current = []);
    const open = () => connections[connections.push(new Redis(this.redis)) - 1];
    try {
      this.gets = open();
      const layout = fields((await this.gets.do(["HGETALL", this.prefix + ":layout"]))[0]);
      if (layout.version !== "1") throw new Error("no layout of version 1 in Redis");
      (this.#epoch = layout.epoch), (this.#partitions = Number(layout.partitions));
      this.#current = Array(this.#partitions).fill(-Infinity);
      await Promise.all(this.#current.map((_, p) => this.#follow(p, open(), run)));
    } catch (e) {
      for (const c of connections) c.close(e);
      if (run === this.#run) console.error("from the start:", e.message), setTimeout(() => run === this.#run && this.#begin(), 100);
    }
  }

  #name = (p, rest) => `${this.prefix}:{${p}}:${rest}`;
  #entryName = (scope, id) => this.#name(crc32(id) % this.#partitions, scope + ":" + id);

  async #follow(p, redis, run) {
    const meta = ["HMGET", this.#name(p, "meta"), "epoch", "position", "last", "as_of"];
    const [[epoch, position, start]] = await redis.do(meta);
    if (epoch !== this.#epoch || position === "0") throw new Error("Redis is being built");
    let last = start, missing = false, clock, distrust;
    while (run === this.#run) {
      const asked = performance.now();
      const [read, [epoch, , end, asOf], time] = await redis.do(
        ["XREAD", "COUNT", "1000", "BLOCK", String(block), "STREAMS", this.#name(p, "stream"), last], meta, ["TIME"]);
      if (run !== this.#run) return;
      if (epoch !== this.#epoch) throw new Error("all was built anew");
      const list = read?.[0][1] ?? [];
      for (const [id, words] of list) {
        const f = fields(words);
        if (f.prev !== last) throw new Error(`${id} follows on ${f.prev}, not on ${last}`);
        last = id;
        this.#take(id, f);
      }
      if (list.length) this.changed();
      const ahead = order(last, end);
      if (ahead > 0) throw new Error("Redis lost what was behind " + end);
      if (ahead < 0 && missing && !list.length) throw new Error("what is behind " + last + " is gone");
      missing = ahead < 0 && !list.length;
      // A clock that was set back, or is another server's, is believed when as_of was written by it.
      const now = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
      if (!clock || now - (asked - clock.at) < clock.now - 20) distrust = asOf;
      clock = { now, at: performance.now() };
      if (ahead === 0 && asOf && asOf !== distrust && Number(asOf) <= now) this.#current[p] = asked - (now + 1 - Number(asOf));
    }
  }

  #take(id, f) {
    this.#changes++;
    if (f.scope === "instance") return this.#entries.clear();
    if (!["key", "user", "org", "project"].includes(f.scope)) throw new Error("a change of the scope " + f.scope);
    const name = this.#entryName(f.scope, f.scope === "key" ? f.public : f.id), held = this.#entries.get(name);
    if (!held || order(held.version, id) >= 0) return;
    f.entry ? this.#entries.set(name, JSON.parse(f.entry)) : this.#entries.delete(name);
  }

  // entry reads one from Redis; what was read while anything changed is read again.
  async #load(name) {
    if (this.#entries.size >= 400_000) this.#entries.clear();
    for (let changes, tries = 0; changes !== this.#changes && tries < 10; tries++) {
      changes = this.#changes;
      const [text] = await this.gets.do(["GET", name]);
      if (changes === this.#changes && text) this.#entries.set(name, JSON.parse(text));
    }
    return this.#entries.get(name);
  }

  age() { return this.#current.length ? performance.now() - Math.min(...this.#current) : Infinity; }

  // verify answers what VerifyKey would; from memory and Redis when it is known there, else from Tenure.
  async verify(public_, secret, environment = "", from = "") {
    const pair = createHash("sha256").update(JSON.stringify([public_, secret])).digest("base64"), id = this.#pairs.get(pair);
    try {
      for (let tries = 0; id && tries < 10 && this.age() <= maxStale; tries++) {
        const missed = new Set(), want = (scope, id) => {
          const name = this.#entryName(scope, id), e = this.#entries.get(name);
          if (!e) missed.add(name);
          return e;
        };
        const key = want("key", public_), a = key?.id === id ? judge(key, want, environment, from, Date.now()) : undefined;
        if (a) return { ...a, cached: true };
        if (!missed.size) break;
        if (!(await Promise.all([...missed].map((n) => this.#load(n)))).every(Boolean)) break; // a miss says nothing
      }
    } catch (e) {
      console.error("asking Tenure:", e.message);
    }
    if (this.#unknown.get(pair) > Date.now()) return { valid: false, reason: "KEY_UNKNOWN", permissions: [] };
    const credentials = process.env.TENURE_KEY ? { Authorization: "Bearer " + process.env.TENURE_KEY } : {};
    const res = await fetch(this.tenure + "/tenure.v1.KeyService/VerifyKey", {
      method: "POST", headers: { "Content-Type": "application/json", ...credentials }, signal: AbortSignal.timeout(patience),
      body: JSON.stringify({ publicKey: public_, secret, environment, ip: from || undefined }),
    });
    const a = await res.json();
    if (!res.ok) throw new Error(`Tenure: ${a.code}: ${a.message}`);
    if (a.reason === "KEY_UNKNOWN") {
      if (this.#unknown.size >= 100_000) this.#unknown.clear();
      this.#unknown.set(pair, Date.now() + keepUnknown);
    }
    if (a.keyId) {
      if (this.#pairs.size >= 100_000) this.#pairs.delete(this.#pairs.keys().next().value);
      this.#pairs.set(pair, a.keyId); // both parts were right: that does not change
    }
    return a;
  }
}

// ---- the program

function conformance(file) {
  let uses = 0, wrong = 0;
  JSON.parse(readFileSync(file, "utf8")).forEach((c, i) => {
    const known = { user: c.user ? [c.user] : [], project: c.projects ?? [], org: c.orgs ?? [] };
    for (const u of c.uses) {
      const got = JSON.stringify(judge(c.key, (scope, id) => known[scope].find((e) => e.id === id), u.environment, u.from, Date.parse(u.at)));
      uses++;
      if (got !== JSON.stringify(u.answer)) wrong++, console.log(`case ${i} at ${u.at}: ${got}, wanted ${JSON.stringify(u.answer)}`);
    }
  });
  console.log(`${uses} answers, ${wrong} wrong`);
  process.exit(wrong || !uses ? 1 : 0);
}

async function main(tenure, redis) {
  const watched = [];
  const look = async (w) => {
    try {
      const [public_, ...secret] = w.line.split(":"), a = await cache.verify(public_, secret.join(":"));
      const text = a.reason + (a.cached ? " from memory" : " from Tenure");
      if (text !== w.last) console.log(Date.now(), public_, (w.last = text));
    } catch (e) {
      console.error(e.message);
    }
  };
  const cache = new Cache(tenure, redis, () => watched.forEach(look));
  setInterval(() => watched.forEach(look), 250);
  for await (const line of createInterface({ input: process.stdin })) {
    watched.push({ line });
    look(watched.at(-1));
  }
  process.exit(0);
}

const [first, second] = process.argv.slice(2);
if (first === "--conformance") conformance(second);
else if (second) main(first, second);
else console.error("node keycache.mjs URL REDIS, or --conformance FILE"), process.exit(2);
