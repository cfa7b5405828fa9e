// Node 18, which is Debian 12's own, lacks what both peers expect to be there: import this before them.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
