// Unpacks the page's style sheet and program and puts them in: its policy knows them by their hashes.
(async () => {
  try {
    new DecompressionStream('deflate-raw');
  } catch {
    throw new Error('this browser lacks DecompressionStream("deflate-raw"); Chrome 103, Firefox 113 and Safari 16.4 have it. The summary below needs no script');
  }
  // docs/page.md, The file: seven bits a character.
  const bytesOf = (text) => {
    const bytes = new Uint8Array(text.length * 2);
    let [length, bits, count] = [0, 0, 0];
    const put = (seven) => {
      bits |= seven << count;
      count += 7;
      if (count < 8) return;
      bytes[length++] = bits;
      bits >>= 8;
      count -= 8;
    };
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) put([0, 13, 60][code < 640 ? (code >> 7) - 2 : code - 640]);
      if (code < 640) put(code & 127);
    }
    return bytes.subarray(0, length);
  };
  const unpacked = (id) => {
    const element = document.getElementById(id);
    const packed = bytesOf(element.textContent);
    element.remove();
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text();
  };
  const [css, js] = await Promise.all([unpacked('app-css'), unpacked('app-js')]);
  for (const [kind, text] of [['style', css], ['script', js]]) {
    document.head.append(Object.assign(document.createElement(kind), { textContent: text }));
  }
})().catch((error) => {
  const line = Object.assign(document.createElement('p'), { className: 'failure', textContent: `This page cannot begin: ${error.message}` });
  line.setAttribute('role', 'alert');
  document.body.prepend(line);
});
