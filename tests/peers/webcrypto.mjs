// Node 18, which is Debian 12's own, keeps Web Cryptography in a module; import this before what expects it globally.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
