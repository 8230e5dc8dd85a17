// Unpacks the page's style sheet and program and puts them in: its policy knows them by their hashes.
(async () => {
  try {
    new DecompressionStream('deflate-raw');
  } catch {
    throw new Error('this browser lacks DecompressionStream("deflate-raw"); Chrome 103, Firefox 113 and Safari 16.4 have it. The summary below needs no script');
  }
  const unpacked = (id) => {
    const element = document.getElementById(id);
    const packed = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
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
