// base64(deflate-raw(…)) to bytes, with what the browser has for it.

/** Characters of base64 that are decoded at once; a multiple of 4. */
const PIECE = 1 << 20;

/** Throws a sentence where columns cannot be read as they are. That the browser inflates, the report's loader found out. */
export function checkBrowser(): void {
  if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) throw new Error('this computer stores the high byte of a number first');
}

/** Inflates piece by piece, so that neither the text nor its bytes are there twice. */
export async function inflateBase64(text: string): Promise<Uint8Array> {
  const stream = new DecompressionStream('deflate-raw');
  const writing = feed(stream.writable.getWriter(), text);
  // Its error is that of reading, too; awaited below.
  writing.catch(() => {});
  const bytes = await collect(stream.readable.getReader());
  await writing;
  return bytes;
}

async function feed(to: WritableStreamDefaultWriter<BufferSource>, text: string): Promise<void> {
  try {
    for (let at = 0; at < text.length; at += PIECE) await to.write(fromBase64(text.slice(at, at + PIECE)));
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

type Base64 = { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };

/** Uint8Array.fromBase64 came to browsers in 2025. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as Base64).fromBase64;
  if (native) return native.call(Uint8Array, text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}
