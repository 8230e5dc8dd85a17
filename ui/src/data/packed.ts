// What an element of a report holds: bytes, deflated, as text of seven bits a character (docs/page.md, The file).

/** Deflated bytes that are inflated at once. */
const PIECE = 1 << 20;

/** Throws a sentence where columns cannot be read as they are. That the browser inflates, the report's loader found out. */
export function checkBrowser(): void {
  if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) throw new Error('this computer stores the high byte of a number first');
}

/** The bytes of an element's text. Their number is told by the end of deflate's stream alone. */
export async function unpacked(text: string): Promise<Uint8Array> {
  const stream = new DecompressionStream('deflate-raw');
  const writing = feed(stream.writable.getWriter(), bytesOf(text));
  // Its error is that of reading, too; awaited below.
  writing.catch(() => {});
  const bytes = await collect(stream.readable.getReader());
  await writing;
  return bytes;
}

async function feed(to: WritableStreamDefaultWriter<BufferSource>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; at += PIECE) await to.write(bytes.subarray(at, at + PIECE));
    await to.close();
  } catch (error) {
    await to.abort(error).catch(() => {});
    throw error;
  }
}

async function collect(from: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
  let bytes = new Uint8Array(1 << 16);
  let length = 0;
  for (let part = await from.read(); !part.done; part = await from.read()) {
    const needed = length + part.value.length;
    if (needed > bytes.length) {
      const larger = new Uint8Array(Math.max(needed, bytes.length * 2));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(part.value, length);
    length = needed;
  }
  return bytes.subarray(0, length);
}

/** Characters that cannot stand in an element: each is one with the seven bits behind it, from PAIRS on; the last one, from LAST on, alone. */
const AWAY = [0, 13, 60];
const PAIRS = 0x100;
const LAST = PAIRS + AWAY.length * 128;

/** The bytes of text of seven bits a character, the first bits lowest. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((text.length * 14) / 8));
  let length = 0;
  let bits = 0;
  let count = 0;
  const put = (seven: number) => {
    bits |= seven << count;
    count += 7;
    if (count < 8) return;
    bytes[length++] = bits;
    bits >>= 8;
    count -= 8;
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 128) put(code);
    else if (code >= PAIRS && code < LAST) {
      put(AWAY[(code - PAIRS) >> 7]!);
      put(code & 127);
    } else {
      const last = AWAY[code - LAST];
      if (last === undefined) throw new Error('a character is none of its own');
      put(last);
    }
  }
  return bytes.slice(0, length);
}
