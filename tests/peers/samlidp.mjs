// An identity provider made of samlify, for tests/peers/samlify.py. One JSON object a line in and out.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import samlify from "samlify";

console.info = console.log = console.warn = console.error;

const { Extractor, IdentityProvider, SamlLib, ServiceProvider, Constants } = samlify;
const BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:";
const STATUS = "urn:oasis:names:tc:SAML:2.0:status:";
const URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri";
const AUTHN =
  '<saml:AuthnStatement AuthnInstant="{At}" SessionIndex="{Index}"><saml:AuthnContext>' +
  "<saml:AuthnContextClassRef>{Context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>";
const ATTRIBUTE =
  `<saml:Attribute Name="{Name}" NameFormat="${URI}">` +
  '<saml:AttributeValue xsi:type="xs:string">{Value}</saml:AttributeValue></saml:Attribute>';
const FAILED =
  '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"' +
  ' ID="{ID}" Version="2.0" IssueInstant="{IssueInstant}" Destination="{Destination}" InResponseTo="{InResponseTo}">' +
  '<saml:Issuer>{Issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{Outer}"><samlp:StatusCode Value="{Inner}"/>' +
  "</samlp:StatusCode></samlp:Status></samlp:Response>";
const AFTER_ISSUER = {
  prefix: "ds",
  location: { reference: "/*[local-name(.)='Response']/*[local-name(.)='Issuer']", action: "after" },
};

// Our schemas are checked elsewhere; samlify wants to be told what checks them.
samlify.setSchemaValidator({ validate: async () => "not checked" });

const server = createServer();
const heard = [];
const sessions = new Map(); // by cookie: who it is, since when, and by which names each party knows them
const waiting = new Map(); // requests whose person has not answered the form
let settings;

const address = () => `http://127.0.0.1:${server.address().port}`;
const fill = (template, tags) => SamlLib.replaceTagsByValue(template, tags);
const escaped = (text) => fill("{Text}", { Text: text });

function self({ pair = settings.pair, more = [], format } = {}) {
  const everywhere = (path) => ["HTTP-Redirect", "HTTP-POST"].map((name) => ({ Binding: BINDINGS + name, Location: address() + path }));
  return IdentityProvider({
    entityID: `${address()}/idp`,
    signingCert: more.length ? [pair.certificate, ...more] : pair.certificate,
    privateKey: pair.key,
    wantAuthnRequestsSigned: true,
    wantLogoutRequestSigned: true,
    wantLogoutResponseSigned: true,
    isAssertionEncrypted: true,
    dataEncryptionAlgorithm: settings.cipher,
    requestSignatureAlgorithm: Constants.algorithms.signature.RSA_SHA256,
    nameIDFormat: [format ?? "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"],
    singleSignOnService: everywhere("/sso"),
    singleLogoutService: everywhere("/slo"),
  });
}

// samlify knows one certificate for each use: of the two in a rollover it is told which.
function partner(party, signing = 0) {
  const made = ServiceProvider({
    metadata: party.document,
    wantMessageSigned: party.message_signed,
    wantLogoutRequestSigned: true,
    wantLogoutResponseSigned: true,
  });
  const certificates = made.entityMeta.meta.certificate;
  for (const [use, index] of [["signing", signing], ["encryption", settings.encrypt_to]]) {
    const all = [certificates[use]].flat();
    if (index >= all.length) return null;
    certificates[use] = all[index];
  }
  return made;
}

async function verified(party, read) {
  let fault = new Error("no certificate");
  for (let index = 0, sp; (sp = partner(party, index)); index += 1) {
    try {
      return await read(sp);
    } catch (error) {
      fault = error instanceof Error ? error : new Error(String(error));
    }
  }
  throw fault;
}

function partyOf(xml) {
  const { issuer } = Extractor.extract(xml, [{ key: "issuer", localPath: ["~Re", "Issuer"], attributes: [] }]);
  const found = Object.values(settings.parties).find((party) => partner(party).entityMeta.getEntityID() === issuer);
  if (!found) throw new Error(`nobody is called ${issuer}`);
  return found;
}

// What came, by Redirect (with the octets that were signed, as they came) or by POST.
async function received(request) {
  const { search, searchParams } = new URL(request.url, address());
  if (request.method === "POST") {
    const body = Object.fromEntries(new URLSearchParams(Buffer.concat(await request.toArray()).toString()));
    const xml = Buffer.from(body.SAMLRequest ?? body.SAMLResponse ?? "", "base64").toString();
    return { binding: "post", message: { body }, fields: body, xml };
  }
  const query = Object.fromEntries(searchParams);
  const signed = ["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg"];
  const parts = search.slice(1).split("&");
  const octetString = signed.flatMap((name) => parts.filter((part) => part.startsWith(`${name}=`))).join("&");
  const packed = query.SAMLRequest ?? query.SAMLResponse;
  const xml = packed ? samlify.Utility.inflateString(packed) : "";
  return { binding: "redirect", message: { query, octetString }, fields: query, xml };
}

async function signOn(request, response) {
  const { binding, message, fields, xml } = await received(request);
  const party = partyOf(xml);
  const asked = await verified(party, (sp) => self().parseLoginRequest(sp, binding, message));
  const { force } = Extractor.extract(xml, [{ key: "force", localPath: ["AuthnRequest"], attributes: ["ForceAuthn"] }]);
  heard.push(`AuthnRequest ${binding}${force === "true" ? " ForceAuthn" : ""}`);
  const session = sessionOf(request);
  const pending = { party, asked, relayState: fields.RelayState };
  if (session && force !== "true") return answer(response, session, pending);
  const id = randomUUID();
  waiting.set(id, pending);
  const form = `<form method="post" action="/login"><input type="hidden" name="id" value="${id}"><input name="person"></form>`;
  response.setHeader("content-type", "text/html").end(form);
}

async function logIn(request, response) {
  const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
  const pending = waiting.get(form.get("id"));
  if (form.get("outcome") === "cancel") return refuse(response, pending);
  const cookie = randomUUID();
  const session = { who: form.get("person"), at: new Date().toISOString(), index: `_${randomUUID()}`, names: new Map() };
  sessions.set(cookie, session);
  response.setHeader("set-cookie", `samlify=${cookie}; Path=/; HttpOnly`);
  return answer(response, session, pending);
}

function refuse(response, { party, asked, relayState }) {
  const destination = partner(party).entityMeta.getAssertionConsumerService("post");
  const rawSamlMessage = fill(FAILED, {
    ID: `_${randomUUID()}`,
    IssueInstant: new Date().toISOString(),
    Destination: destination,
    InResponseTo: asked.extract.request.id,
    Issuer: self().entityMeta.getEntityID(),
    Outer: `${STATUS}Responder`,
    Inner: `${STATUS}AuthnFailed`,
  });
  const context = SamlLib.constructSAMLSignature({
    rawSamlMessage,
    privateKey: settings.pair.key,
    signingCert: self().entityMeta.getX509Certificate("signing"),
    signatureAlgorithm: Constants.algorithms.signature.RSA_SHA256,
    isMessageSigned: true,
    isBase64Output: true,
    signatureConfig: AFTER_ISSUER,
  });
  posted(response, destination, { SAMLResponse: context, RelayState: relayState });
}

async function answer(response, session, { party, asked, relayState }) {
  const sp = partner(party);
  const idp = self({ format: party.format });
  const person = party.people[session.who];
  const name = person.name_id ?? session.names.get(party) ?? `_${randomUUID()}`;
  session.names.set(party, name);
  const made = await idp.createLoginResponse(sp, asked, "post", {}, {
    encryptThenSign: party.message_signed,
    relayState,
    customTagReplacement: (template) => assertion(template, { idp, sp, party, session, asked, name, person }),
  });
  posted(response, made.entityEndpoint, { SAMLResponse: made.context, RelayState: relayState });
}

function assertion(template, { idp, sp, party, session, asked, name, person }) {
  const id = `_${randomUUID()}`;
  const [now, soon] = [0, 300_000].map((later) => new Date(Date.now() + later).toISOString());
  const acs = sp.entityMeta.getAssertionConsumerService("post");
  const attributes = Object.entries(person.attributes).map(([Name, Value]) => fill(ATTRIBUTE, { Name, Value }));
  const context = template
    .replace("{AuthnStatement}", () => fill(AUTHN, { At: session.at, Index: session.index, Context: party.context }))
    .replace("{AttributeStatement}", () => `<saml:AttributeStatement>${attributes.join("")}</saml:AttributeStatement>`);
  const tags = {
    ID: id, AssertionID: `_${randomUUID()}`, IssueInstant: now, Destination: acs, InResponseTo: asked.extract.request.id,
    Issuer: idp.entityMeta.getEntityID(), StatusCode: `${STATUS}Success`, NameIDFormat: party.format, NameID: name,
    SubjectConfirmationDataNotOnOrAfter: soon, SubjectRecipient: acs, ConditionsNotBefore: now,
    ConditionsNotOnOrAfter: soon, Audience: sp.entityMeta.getEntityID(),
  };
  return { id, context: fill(context, tags) };
}

async function logOut(request, response) {
  const { binding, message, fields, xml } = await received(request);
  const party = partyOf(xml);
  if (fields.SAMLResponse) {
    const told = await verified(party, (sp) => self().parseLogoutResponse(sp, binding, message));
    heard.push(`LogoutResponse ${binding} to ${told.extract.response.inResponseTo === settings.asked ? "ours" : "nobody's"}`);
    return response.end("signed out");
  }
  const asked = await verified(party, (sp) => self().parseLogoutRequest(sp, binding, message));
  heard.push(`LogoutRequest ${binding}`);
  for (const [cookie, session] of sessions) {
    const named = session.names.get(party) === asked.extract.nameID && session.index === asked.extract.sessionIndex;
    if (named) sessions.delete(cookie);
  }
  const made = self().createLogoutResponse(partner(party), asked, settings.slo, fields.RelayState ?? "");
  sent(response, made);
}

function leave(request, response) {
  const { searchParams } = new URL(request.url, address());
  const party = settings.parties[searchParams.get("party")];
  const session = sessionOf(request);
  const user = { logoutNameID: session.names.get(party), sessionIndex: session.index };
  const made = self({ format: party.format }).createLogoutRequest(partner(party), settings.slo, user, "kept");
  settings.asked = made.id;
  sessions.forEach((one, cookie) => one === session && sessions.delete(cookie));
  sent(response, made);
}

function sent(response, made) {
  if (settings.slo === "redirect") return response.writeHead(302, { location: made.context }).end();
  return posted(response, made.entityEndpoint, { [made.type]: made.context, RelayState: made.relayState });
}

function posted(response, action, fields) {
  const inputs = Object.entries(fields).filter(([, value]) => value);
  const hidden = inputs.map(([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`);
  response.setHeader("content-type", "text/html");
  response.end(`<form method="post" action="${escaped(action)}">${hidden.join("")}</form>`);
}

function sessionOf(request) {
  return sessions.get(/(?:^|; )samlify=([^;]+)/.exec(request.headers.cookie ?? "")?.[1]);
}

const ROUTES = { "/sso": signOn, "/login": logIn, "/slo": logOut, "/leave": leave };

server.on("request", async (request, response) => {
  const route = ROUTES[new URL(request.url, address()).pathname];
  try {
    await (route ? route(request, response) : response.writeHead(404).end());
  } catch (error) {
    heard.push(`fault: ${error?.message ?? error}`);
    response.writeHead(500).end(String(error?.message ?? error));
  }
});

const DEEDS = {
  async listen() {
    await once(server.listen(0, "127.0.0.1"), "listening");
    return address();
  },
  // All that it goes by: its pair of keys, the parties, the cipher, which of their certificates it encrypts to.
  set(asked) {
    settings = { ...settings, ...asked };
  },
  metadata: ({ more }) => self({ more }).getMetadata(),
  heard: () => heard.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { deed, ...asked } = JSON.parse(line);
  const told = await Promise.resolve()
    .then(() => DEEDS[deed](asked))
    .then((done) => ({ done: done ?? null }), ({ message }) => ({ fault: { message } }));
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

// Whoever started this is gone.
process.exit(0);
