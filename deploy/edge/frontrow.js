// Verifies passes of Frontrow in nginx, by njs (Debian 12: libnginx-mod-http-js), without a call.
// The steps, and what each part is for: docs/other-sites.md.

const FIELD = 'frontrow_pass';
// How far the clock of this machine may be behind that of Frontrow, in seconds.
const BEHIND_MAX = 60;
// What stands before the two coordinates in the DER form of a public key of P-256, in hexadecimal digits.
const SPKI_HEAD = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';
const LENGTH_MAX = 2048;

const bytes = (text) => Buffer.from(text, 'base64url');

async function isSigned(key, message, signature) {
  if (signature.length !== 64) return false;
  const spki = Buffer.concat([Buffer.from(SPKI_HEAD, 'hex'), bytes(key.x), bytes(key.y)]);
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const verifying = await crypto.subtle.importKey('spki', spki, curve, false, ['verify']);
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  return crypto.subtle.verify(algorithm, verifying, signature, message);
}

// The key of a set with this name. What js_preload_object loads is no whole array: it has no find().
function keyNamed(keys, kid) {
  for (let at = 0; at < keys.length; at += 1) {
    if (keys[at].kid === kid && keys[at].alg === 'ES256') return keys[at];
  }
  return null;
}

// The content of a pass that is valid now, from this Frontrow and for this room; null of any other text.
async function read(pass, keys, issuer, audience) {
  try {
    const parts = pass.split('.');
    if (pass.length > LENGTH_MAX || parts.length !== 3) return null;
    const header = JSON.parse(bytes(parts[0]).toString());
    const key = keyNamed(keys, header.kid);
    if (header.alg !== 'ES256' || key === null) return null;
    if (!(await isSigned(key, Buffer.from(`${parts[0]}.${parts[1]}`), bytes(parts[2])))) return null;
    const claims = JSON.parse(bytes(parts[1]).toString());
    const now = Math.floor(Date.now() / 1000);
    const isNow = claims.exp > now && claims.nbf <= now + BEHIND_MAX;
    return isNow && claims.iss === issuer && claims.aud === audience ? claims : null;
  } catch (error) {
    return null;
  }
}

function leadTo(r, address) {
  r.headersOut['Cache-Control'] = 'no-store';
  r.return(303, address);
}

// Lets a visitor with a valid pass through to @site, and leads all others to the line.
async function enter(r) {
  const settings = r.variables;
  const line = `${settings.frontrow_line}/line/${settings.frontrow_room}`;
  const found = r.variables.request_uri.split('?');
  const path = found.shift();
  const fields = found.join('?').split('&').filter((field) => field !== '');
  const brought = fields.filter((field) => field.startsWith(`${FIELD}=`)).map((field) => field.slice(FIELD.length + 1));
  const rest = fields.filter((field) => !field.startsWith(`${FIELD}=`)).join('&');
  const here = rest === '' ? path : `${path}?${rest}`;
  const pass = brought.length > 0 ? brought[0] : settings[`cookie_${FIELD}`] || '';
  const claims = await read(pass, frontrow_keys.keys, settings.frontrow_line, `room:${settings.frontrow_room}`);
  if (brought.length > 0) {
    // A pass that has just come and is not valid leads to the line itself, so that clocks that differ make no circle.
    if (!claims) return leadTo(r, line);
    r.headersOut['Set-Cookie'] = [`${FIELD}=${pass}; Path=/; HttpOnly; Secure; SameSite=Lax`];
    // The address begins with the site's own name, so that a path with two slashes leads nowhere else.
    return leadTo(r, settings.frontrow_site + here);
  }
  if (!claims) {
    const mayReturn = r.method === 'GET' || r.method === 'HEAD';
    return leadTo(r, mayReturn ? `${line}/pass?return=${encodeURIComponent(here)}` : `${line}/pass`);
  }
  settings.frontrow_subject = claims.sub;
  settings.frontrow_pass = pass;
  r.internalRedirect('@site');
}

export default { enter };
